"""Folds by query: nothing leaks, subsets are balanced, rows may come in any order, files hold."""

import random
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.errors import BadInput
from relevance.folds import (
    AssignedQuery,
    FoldAssignment,
    Holdout,
    assign_folds,
    holdout,
    read_folds,
    split,
    write_folds,
)
from relevance.records import Pair
from relevance.variants import are_variants, spelling
from tests.relevance.make_values import make_pair

ADJECTIVES = ["red", "blue", "oak", "steel", "wireless", "kitchen", "winter", "leather", "vintage"]
NOUNS = ["shoe", "desk", "lamp", "bottle", "earbuds", "jacket", "curtain", "notebook", "backpack"]
SUBSETS = ["head", "tail", ""]


def spelled(query: str, how: int) -> str:
    """One of five spellings of a query of two words."""
    first, second = query.split()
    typo = second[:-1] if len(query) > 8 else second
    return [query, f"{second} {first}", first + second, query.upper(), f"{first} {typo}"][how]


def make_shop(seed: int = 0, *, queries: int = 40) -> list[Pair]:
    stream = random.Random(seed)
    names = stream.sample([f"{a} {n}" for a in ADJECTIVES for n in NOUNS], queries)
    return [
        make_pair(spelled(name, stream.randrange(5)), f"item-{stream.randrange(60)}", good, subset)
        for name in names
        for subset in [stream.choice(SUBSETS)]
        for good in stream.choices([True, False], k=stream.choice([1, 1, 2, 8]))
    ]


shops = st.builds(make_shop, st.integers(0, 10**6), queries=st.integers(5, 40))
few = settings(max_examples=25)


@few
@given(shops, st.integers(2, 5), st.data())
def test_neither_a_query_nor_a_variant_nor_a_group_is_in_two_parts(shop, folds, data):
    assignment = assign_folds(shop, folds=folds)

    parts = split(assignment, shop, fold=data.draw(st.integers(0, folds - 1)))

    texts = [{pair.query for pair in part} for part in (parts.train, parts.validation, parts.test)]
    groups = [{assignment.assigned(query).group for query in part} for part in texts]
    for one in range(3):
        for other in range(one):
            assert not groups[one] & groups[other]
            for first in texts[one]:
                for second in texts[other]:
                    assert not are_variants(spelling(first), spelling(second))


@few
@given(shops, st.integers(2, 5))
def test_every_pair_is_tested_in_exactly_one_fold_and_lost_in_none(shop, folds):
    assignment = assign_folds(shop, folds=folds)

    splits = [split(assignment, shop, fold=fold) for fold in range(folds)]

    assert Counter(p for parts in splits for p in parts.test) == Counter(shop)
    for parts in splits:
        assert Counter(parts.train + parts.validation + parts.test) == Counter(shop)
        assert parts.test


@few
@given(shops, st.randoms())
def test_the_order_of_rows_does_not_matter(shop, stream):
    shuffled = stream.sample(shop, len(shop))

    assert assign_folds(shuffled) == assign_folds(shop)
    assert assign_folds(shuffled).hash == assign_folds(shop).hash


def test_labels_and_items_do_not_decide_a_fold():
    shop = make_shop()
    others = [replace(p, good=None, item_id="same") for p in shop]

    assert assign_folds(others) == assign_folds(shop)


def test_subsets_are_balanced_over_folds():
    shop = [
        make_pair(f"{adjective} {noun}", str(at), subset=subset)
        for adjective in ADJECTIVES
        for noun in NOUNS
        for subset, pairs in [("head" if adjective < "o" else "tail", 6 if adjective < "o" else 1)]
        for at in range(pairs)
    ]
    assignment = assign_folds(shop)

    for subset in ("head", "tail"):
        counts = Counter(assignment.fold_of(p) for p in shop if p.subset == subset)
        assert len(counts) == 5
        assert max(counts.values()) - min(counts.values()) <= 6  # the largest group


def test_left_out_subsets_are_in_no_fold():
    shop = make_shop()
    left_out = [make_pair("garden hose", "1", subset="fragment_485"), replace(shop[0], subset="x")]
    assignment = assign_folds(shop + left_out, left_out_subsets=frozenset({"fragment_485", "x"}))

    parts = split(assignment, shop + left_out, fold=0)

    assert assignment.fold_of(left_out[0]) is None
    assert not set(left_out) & {*parts.train, *parts.validation, *parts.test}


def test_the_all_good_rows_of_esci_are_left_out_unless_told_otherwise():
    shop = [*make_shop(), make_pair("garden hose", subset="fragment_485")]

    assert assign_folds(shop).fold_of(shop[-1]) is None
    assert assign_folds(shop, left_out_subsets=frozenset()).fold_of(shop[-1]) is not None


@few
@given(shops)
def test_validation_is_about_15_of_100_groups_and_another_one_in_each_fold(shop):
    assignment = assign_folds(shop)
    for fold in range(5):
        parts = split(assignment, shop, fold=fold)
        strata: dict[str, set[str]] = {}
        for assigned in assignment.queries:
            if assigned.fold != fold:
                strata.setdefault(assigned.subset, set()).add(assigned.group)
        expected = sum(max(round(0.15 * len(g)), 1) if len(g) > 1 else 0 for g in strata.values())

        assert len({assignment.assigned(p.query).group for p in parts.validation}) == expected


def test_validation_does_not_depend_on_which_pairs_are_passed():
    shop = make_shop()
    assignment = assign_folds(shop)
    whole = split(assignment, shop, fold=1)

    part = split(assignment, shop[::2], fold=1)

    assert set(part.validation) == set(whole.validation) & set(shop[::2])


def test_an_unknown_fold_and_an_unknown_query_are_refused():
    assignment = assign_folds(make_shop())

    with pytest.raises(BadInput, match="expected 0 to 4, got 5"):
        split(assignment, [], fold=5)
    with pytest.raises(BadInput, match="'never seen' has no fold\nhint: `ellm data folds`"):
        split(assignment, [make_pair("never seen")], fold=0)


def test_there_must_be_a_query_for_each_fold():
    with pytest.raises(BadInput, match="at least 5 distinct queries, got 2"):
        assign_folds([make_pair("red shoe"), make_pair("Red shoes"), make_pair("blue lamp")])
    with pytest.raises(BadInput, match="expected at least 2, got 1"):
        assign_folds([make_pair()], folds=1)


@pytest.mark.parametrize(
    "rows",
    [
        [AssignedQuery("b", "b", 0, ""), AssignedQuery("a", "a", 1, "")],
        [AssignedQuery("a", "a", 0, ""), AssignedQuery("a", "a", 1, "")],
        [AssignedQuery("a", "a", 2, "")],
    ],
)
def test_an_assignment_cannot_be_built_wrong(rows):
    with pytest.raises(BadInput, match="folds: expected"):
        FoldAssignment(2, frozenset(), tuple(rows))


@few
@given(shops, st.data())
def test_planted_test_queries_variants_and_items_are_caught_and_training_queries_are_not(
    shop, data
):
    parts = split(assign_folds(shop), shop, fold=data.draw(st.integers(0, 4)))
    held_out = holdout(parts.test)
    planted = data.draw(st.sampled_from(parts.test))

    assert held_out.holds_query(planted.query)
    assert held_out.holds_query(f"  {planted.query.upper().removesuffix('S')}s")
    assert held_out.holds_item(planted.item_id)
    assert not any(held_out.holds_query(p.query) for p in parts.train + parts.validation)


@pytest.mark.parametrize("how", range(5))
def test_every_spelling_of_a_test_query_is_held_out(how):
    held_out = holdout([make_pair("wireless earbuds", "B1"), make_pair("oak desk", "B2")])

    assert held_out.holds_query(spelled("wireless earbuds", how))
    assert held_out.holds_query(spelled("oak desk", how % 4))
    assert not held_out.holds_query(spelled("kitchen lamp", how))


def test_validation_queries_can_be_held_out_without_their_items():
    test, validation = make_pair("oak desk", "B1"), make_pair("kitchen lamp", "B2")

    held_out = holdout([test], queries_of=[validation])

    assert held_out.holds_query("kitchen lamps")
    assert not held_out.holds_item("B2")
    assert not holdout([test]).holds_query("kitchen lamps")


def test_a_split_holds_out_its_test_part():
    shop = make_shop()
    parts = split(assign_folds(shop), shop, fold=0)

    assert holdout(parts) == holdout(parts.test)


def test_nothing_held_out_holds_nothing():
    assert not Holdout(frozenset(), frozenset()).holds_query("red shoe")


@few
@given(shops)
def test_what_was_written_is_read(tmp_path_factory, shop):
    path = tmp_path_factory.mktemp("folds") / "folds.parquet"
    assignment = assign_folds(shop, folds=3, left_out_subsets=frozenset({"a", "b"}))

    write_folds(path, assignment)

    assert read_folds(path) == assignment
    assert read_folds(path).hash == assignment.hash


def test_any_difference_changes_the_hash():
    shop = make_shop()
    hashes = {
        assign_folds(shop).hash,
        assign_folds(shop, folds=4).hash,
        assign_folds(shop, left_out_subsets=frozenset()).hash,
        assign_folds(shop[1:] + [make_pair("one more query")]).hash,
    }

    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({b"format": b"relevance-folds/9"}, "expected the format relevance-folds/1"),
        ({b"hash": b"0" * 16}, "expected folds 0000000000000000, got"),
        ({b"hash": None}, "expected folds None, got"),
        ({b"folds": b"6"}, "expected folds"),
        ({b"folds": b"five"}, "not the folds that were written"),
        ({b"folds": b"2"}, "expected numbers from 0 to 1"),
        ({b"left_out_subsets": None}, "not the folds that were written"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_refused_by_name(tmp_path, change, fault):
    path = tmp_path / "folds.parquet"
    write_folds(path, assign_folds(make_shop()))
    table = pq.read_table(path)
    about = {k: v for k, v in {**table.schema.metadata, **change}.items() if v is not None}
    pq.write_table(table.replace_schema_metadata(about), path)

    with pytest.raises(BadInput, match=fault) as refusal:
        read_folds(path)

    assert str(path) in str(refusal.value)
