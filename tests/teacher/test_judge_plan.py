"""The plan: every pair once, in order, in shards, with what it was held out of."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.folds import assign_folds
from relevance.records import Pair, write_pairs
from teacher.judge_plan import HeldOut, plan_judging

ITEMS = {str(n): Item(str(n), f"item {n}") for n in range(4)}
PAIRS = st.lists(
    st.builds(Pair, st.sampled_from(["a", "ab", "b c"]), st.sampled_from(sorted(ITEMS))),
    min_size=1,
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(PAIRS, st.integers(1, 7), st.sets(st.integers(0, 9)))
def test_every_pair_is_in_one_shard_where_it_came_first(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair], size: int, done: set[int]
) -> None:
    """Repeated rows are dropped, order is kept, finished shards are left out."""
    path = tmp_path_factory.getbasetemp() / "plan.parquet"
    write_pairs(path, pairs)

    plan = plan_judging(path, shard_pairs=size)
    work = list(plan.work(ITEMS, held_out=HeldOut(), done=frozenset(done)))

    distinct = list(dict.fromkeys(pairs))
    assert plan.pairs == len(distinct)
    assert plan.repeated == len(pairs) - len(distinct)
    assert plan.shards == -(-len(distinct) // size)
    expected = {n: distinct[n * size : (n + 1) * size] for n in range(plan.shards)}
    assert {w.number: list(w.pairs) for w in work} == {
        n: members for n, members in expected.items() if n not in done
    }
    assert all(i.item_id == p.item_id for w in work for p, i in zip(w.pairs, w.items, strict=True))


def test_the_digest_knows_pairs_labels_and_their_order(tmp_path: Path) -> None:
    """Another pool is another job."""
    one, other = Pair("a", "1", True), Pair("b", "2", None)
    variants = [[one, other], [other, one], [one], [Pair("a", "1", False), other]]
    digests = []
    for pairs in variants:
        write_pairs(tmp_path / "pairs.parquet", pairs)
        digests.append(plan_judging(tmp_path / "pairs.parquet", shard_pairs=5).digest)

    assert len(set(digests)) == len(variants)


def test_an_item_the_catalogue_lacks_is_named(tmp_path: Path) -> None:
    """Before anything is asked of a model."""
    write_pairs(tmp_path / "pairs.parquet", [Pair("a", "77")])

    plan = plan_judging(tmp_path / "pairs.parquet", shard_pairs=5)

    with pytest.raises(BadInput, match="`77`"):
        list(plan.work(ITEMS, held_out=HeldOut()))


def test_labelled_pairs_are_seen_unless_their_fold_was_held_out() -> None:
    """The trainer drops a teacher's score on pairs it has seen."""
    pairs = [Pair(f"query number {n}", "1", bool(n % 2)) for n in range(20)]
    folds = assign_folds(pairs, folds=4)
    held = HeldOut(folds, fold=2)

    for pair in pairs:
        expected = "outer-2" if folds.fold_of(pair) == 2 else "seen"
        assert held.of(pair) == expected
        assert HeldOut().of(pair) == "seen"
    assert {held.of(pair) for pair in pairs} == {"outer-2", "seen"}
    assert held.of(Pair("anything", "1")) is None
