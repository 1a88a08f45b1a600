"""Batches: what stands where, in which share, in which order, and the same by seed."""

from collections import Counter
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.make_students import make_example, random_examples
from trainer.batches import (
    ITEMS_PER_QUERY,
    MOST_BLOCK_PAIRS,
    Batch,
    batches,
    make_batch,
    split_step,
)
from trainer.recipes import Recipe

TENSORS = (
    "good",
    "log_odds",
    "weights",
    "query_factors",
    "item_factors",
)


def human_examples(count: int) -> list:
    """No teacher's score: NaN in a batch."""
    return [make_example((10 + at % 5,), (30 + at,)) for at in range(count)]


def pseudo_examples(count: int) -> list:
    """Each with a score of its own, by which it is known in a batch."""
    return [
        make_example((10 + at % 7,), (30 + at,), good=at % 5 == 0, human=False, log_odds=float(at))
        for at in range(count)
    ]


def equal(one: Batch, other: Batch) -> bool:
    same_rows = torch.equal(one.texts.query_rows, other.texts.query_rows) and torch.equal(
        one.texts.item_rows, other.texts.item_rows
    )
    return (
        same_rows
        and torch.equal(one.texts.items.ids, other.texts.items.ids)
        and all(
            torch.equal(getattr(one, name).nan_to_num(99), getattr(other, name).nan_to_num(99))
            for name in TENSORS
        )
    )


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_every_pair_keeps_its_texts_label_score_and_the_places_of_its_factors(seed, count):
    examples = random_examples(seed, count)

    batch = make_batch(examples)

    for at, example in enumerate(examples):
        for texts, rows, factors, text, expected in (
            (batch.texts.queries, batch.texts.query_rows, batch.query_factors, example.query_text,
             example.query_factors),
            (batch.texts.items, batch.texts.item_rows, batch.item_factors, example.item_text,
             example.item_factors),
        ):  # fmt: skip
            row = rows[at]
            assert texts.ids[row][texts.attention[row].bool()].tolist() == list(text.ids)
            assert factors[at][texts.is_token[row]].tolist() == list(expected)
            assert (factors[at][~texts.is_token[row]] == 0).all()
        assert batch.good[at] == example.good
        scored = example.log_odds is not None
        assert batch.log_odds[at].isnan() != scored
        assert not scored or batch.log_odds[at].item() == pytest.approx(example.log_odds)


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_each_distinct_text_stands_in_a_batch_once(seed, count):
    examples = random_examples(seed, count, vocabulary=7)

    batch = make_batch(examples)

    assert len(batch.texts.queries.ids) == len({e.query_text.ids for e in examples})
    assert len(batch.texts.items.ids) == len({e.item_text.ids for e in examples})


def test_pairs_of_one_query_may_have_factors_of_their_own():
    examples = [
        make_example((10, 11), (12,), query_factors=(1, 0)),
        make_example((10, 11), (13,), query_factors=(-1, 1)),
    ]

    batch = make_batch(examples)

    assert batch.texts.query_rows.tolist() == [0, 0]
    assert batch.query_factors[:, 1:3].tolist() == [[1, 0], [-1, 1]]


def drawn(human, pseudo, count: int, **settings) -> list[Batch]:
    return list(islice(batches(human, pseudo, Recipe("test", **settings)), count))


def numbers(of_batches: list[Batch]) -> list[float]:
    """The scores of the pairs that have one, in their order."""
    return [z for batch in of_batches for z in batch.log_odds.tolist() if z == z]


@settings(max_examples=30)
@given(
    humans=st.integers(1, 20),
    pseudos=st.integers(1, 20),
    human_pairs=st.integers(1, 12),
    pseudo_blocks=st.integers(1, 12),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_every_batch_has_the_same_numbers_of_pairs_and_human_labels_their_share_of_weight(
    humans, pseudos, human_pairs, pseudo_blocks, share, seed
):
    for batch in drawn(
        human_examples(humans),
        pseudo_examples(pseudos),
        4,
        human_pairs=human_pairs,
        pseudo_blocks=pseudo_blocks,
        human_share=share,
        seed=seed,
    ):
        is_human = batch.log_odds.isnan()
        assert (int(is_human.sum()), int((~is_human).sum())) == (human_pairs, pseudo_blocks)
        assert batch.weights[is_human].sum().item() == pytest.approx(share, abs=1e-5)
        assert batch.weights[~is_human].sum().item() == pytest.approx(1 - share, abs=1e-5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12), st.floats(0, 1))
def test_human_labels_weigh_alike_and_a_pools_good_pairs_together_as_much_as_its_bad(kinds, share):
    examples = [make_example((10,), (11,), human=human, good=good) for human, good in kinds]

    weights = make_batch(examples, human_share=share).weights.tolist()

    human = [w for w, kind in zip(weights, kinds, strict=True) if kind[0]]
    good, bad = (
        [w for w, kind in zip(weights, kinds, strict=True) if kind == (False, label)]
        for label in (True, False)
    )
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert all(weight >= 0 for weight in weights)
    assert all(len(set(group)) <= 1 for group in (human, good, bad))
    if human:
        assert sum(human) == pytest.approx(share if good or bad else 1, abs=1e-5)
    if good and bad:
        assert sum(good) == pytest.approx(sum(bad), abs=1e-5)


@pytest.mark.parametrize("human", [True, False])
def test_pairs_of_one_kind_carry_all_the_weight(human):
    examples = [make_example((10,), (at,), human=human) for at in range(20, 24)]

    batch = make_batch(examples, human_share=0.3)

    assert batch.weights.tolist() == pytest.approx([0.25] * 4)


def test_without_a_pool_all_pairs_are_human_and_carry_all_the_weight():
    for batch in drawn(human_examples(5), [], 3, human_pairs=6, pseudo_blocks=9, human_share=0.1):
        assert batch.log_odds.isnan().tolist() == [True] * 6
        assert batch.weights.sum().item() == pytest.approx(1)


@settings(max_examples=30)
@given(count=st.integers(1, 40), pairs=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_each_labelled_example_comes_once_an_epoch(count, pairs, seed):
    labelled = [
        make_example((10 + at % 7,), (30,), log_odds=float(at), name=f"query {at % 7}")
        for at in range(count)
    ]
    epochs = 3

    found = numbers(drawn(labelled, [], epochs * count, human_pairs=pairs, seed=seed))

    for epoch in range(epochs):
        members = found[epoch * count : (epoch + 1) * count]
        assert sorted(members) == [float(at) for at in range(count)]


@settings(max_examples=20)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=6),
    seed=st.integers(0, 10**6),
)
def test_each_block_of_the_pool_comes_whole_and_once_an_epoch(sizes, seed):
    pool = [
        make_example(
            *((10 + query,), (30 + 4 * block + item,)),
            human=False,
            log_odds=float(block),
            name=f"query {block}.{query}",
        )
        for block, (queries, items) in enumerate(sizes)
        for query in range(queries)
        for item in range(items)
    ]

    found = drawn(human_examples(1), pool, 2 * len(sizes), pseudo_blocks=1, seed=seed)

    order = []
    for members in (numbers([batch]) for batch in found):
        queries, items = sizes[int(members[0])]
        assert members == [members[0]] * queries * items
        order.append(int(members[0]))
    assert sorted(order[: len(sizes)]) == sorted(order[len(sizes) :]) == list(range(len(sizes)))


def test_blocks_of_a_small_catalogue_are_joined_only_up_to_a_limit():
    pool = [
        make_example((10 + query,), (30 + item,), human=False, log_odds=0.0, name=f"query {query}")
        for query in range(60)
        for item in range(10)
    ]

    found = drawn(human_examples(1), pool, 3, pseudo_blocks=1)

    sizes = sorted(len(numbers([batch])) for batch in found)
    assert sizes[-1] <= MOST_BLOCK_PAIRS
    assert sum(sizes) == len(pool)


@given(st.integers(0, 10**6))
def test_labelled_items_of_one_query_come_in_small_groups_beside_each_other(seed):
    items = 3 * ITEMS_PER_QUERY
    labelled = [
        make_example((10 + query,), (30 + item,), log_odds=float(query))
        for query in range(5)
        for item in range(items)
    ]

    queries = numbers(drawn(labelled, [], 1, human_pairs=len(labelled), seed=seed))

    groups = [queries[at : at + ITEMS_PER_QUERY] for at in range(0, len(queries), ITEMS_PER_QUERY)]
    assert all(len(set(group)) == 1 for group in groups)
    assert Counter(queries) == dict.fromkeys(map(float, range(5)), items)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_a_seed_gives_the_same_batches_and_another_seed_others(seed):
    first, again, other = (
        drawn(human_examples(30), pseudo_examples(30), 4, human_pairs=6, pseudo_blocks=6, seed=of)
        for of in (seed, seed, seed + 10)
    )

    assert all(map(equal, first, again))
    assert not all(map(equal, first, other))


def test_epochs_are_shuffled_anew():
    first, second = drawn(human_examples(20), [], 2, human_pairs=20)

    assert not equal(first, second)


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(0, 9), st.integers(1, 4))
def test_a_split_step_keeps_every_pair_once_and_a_querys_pairs_together(seed, count, most, parts):
    examples = random_examples(seed, count, vocabulary=7)

    split = split_step(examples, most_pairs=most, parts=parts)

    assert Counter(id(e) for part in split for e in part) == Counter(map(id, examples))
    assert len(split) >= parts
    places = {}
    for number, part in enumerate(split):
        for example in part:
            assert places.setdefault(example.query, number) == number
    if len(split) == 1:
        assert split == [examples]


def test_parts_hold_items_of_like_length():
    examples = [make_example((at,), range(30, 31 + at % 8), name=str(at)) for at in range(40)]

    split = split_step(examples, most_pairs=10)

    lengths = [[e.item_length for e in part] for part in split]
    assert all(max(one) <= min(other) for one, other in zip(lengths, lengths[1:], strict=False))
    assert [len(part) for part in split] == [10] * 4
