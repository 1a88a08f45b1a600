"""Batches: what stands where, in which share, in which order, and the same by seed."""

from collections import Counter
from itertools import islice, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.make_students import make_example, random_examples
from trainer.batches import ITEMS_PER_QUERY, RUN_PAIRS, Batch, batches, make_batch
from trainer.recipes import Recipe

TENSORS = (
    "query_rows",
    "item_rows",
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
        make_example((10 + at % 7,), (30 + at,), human=False, log_odds=float(at))
        for at in range(count)
    ]


def equal(one: Batch, other: Batch) -> bool:
    return torch.equal(one.items.ids, other.items.ids) and all(
        torch.equal(getattr(one, name).nan_to_num(99), getattr(other, name).nan_to_num(99))
        for name in TENSORS
    )


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_every_pair_keeps_its_texts_label_score_and_the_places_of_its_factors(seed, count):
    examples = random_examples(seed, count)

    batch = make_batch(examples)

    for at, example in enumerate(examples):
        for texts, rows, factors, text, expected in (
            (batch.queries, batch.query_rows, batch.query_factors, example.query_text,
             example.query_factors),
            (batch.items, batch.item_rows, batch.item_factors, example.item_text,
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

    assert len(batch.queries.ids) == len({e.query_text.ids for e in examples})
    assert len(batch.items.ids) == len({e.item_text.ids for e in examples})


def test_pairs_of_one_query_may_have_factors_of_their_own():
    examples = [
        make_example((10, 11), (12,), query_factors=(1, 0)),
        make_example((10, 11), (13,), query_factors=(-1, 1)),
    ]

    batch = make_batch(examples)

    assert batch.query_rows.tolist() == [0, 0]
    assert batch.query_factors[:, 1:3].tolist() == [[1, 0], [-1, 1]]


def drawn(human, pseudo, count: int, **settings) -> list[Batch]:
    return list(islice(batches(human, pseudo, Recipe("test", **settings)), count))


def numbers(of_batches: list[Batch]) -> list[float]:
    """The scores of the pool's pairs, in their order."""
    return [z for batch in of_batches for z in batch.log_odds.tolist() if z == z]


@settings(max_examples=30)
@given(
    humans=st.integers(1, 20),
    pseudos=st.integers(1, 20),
    human_pairs=st.integers(1, 12),
    pseudo_pairs=st.integers(1, 12),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_every_batch_has_the_same_numbers_of_pairs_and_human_labels_their_share_of_weight(
    humans, pseudos, human_pairs, pseudo_pairs, share, seed
):
    for batch in drawn(
        human_examples(humans),
        pseudo_examples(pseudos),
        4,
        human_pairs=human_pairs,
        pseudo_pairs=pseudo_pairs,
        human_share=share,
        seed=seed,
    ):
        is_human = batch.log_odds.isnan()
        assert (int(is_human.sum()), int((~is_human).sum())) == (human_pairs, pseudo_pairs)
        assert batch.weights[is_human].sum().item() == pytest.approx(share, abs=1e-5)
        assert batch.weights[~is_human].sum().item() == pytest.approx(1 - share, abs=1e-5)
        assert len(set(batch.weights[is_human].tolist())) == 1
        assert len(set(batch.weights[~is_human].tolist())) == 1


@pytest.mark.parametrize("human", [True, False])
def test_pairs_of_one_kind_carry_all_the_weight(human):
    examples = [make_example((10,), (at,), human=human) for at in range(20, 24)]

    batch = make_batch(examples, human_share=0.3)

    assert batch.weights.tolist() == pytest.approx([0.25] * 4)


def test_without_a_pool_all_pairs_are_human_and_carry_all_the_weight():
    for batch in drawn(human_examples(5), [], 3, human_pairs=6, pseudo_pairs=9, human_share=0.1):
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


@settings(max_examples=15)
@given(count=st.integers(1, 3 * RUN_PAIRS), seed=st.integers(0, 10**6))
def test_each_pool_pair_comes_once_an_epoch_in_runs_of_the_pools_order(count, seed):
    epochs, pseudo = 2, pseudo_examples(count)

    found = numbers(drawn(human_examples(1), pseudo, epochs, pseudo_pairs=count, seed=seed))

    for epoch in range(epochs):
        members = found[epoch * count : (epoch + 1) * count]
        assert sorted(members) == [float(at) for at in range(count)]
        breaks = [one for one, next in pairwise(members) if next != one + 1]
        assert all((one + 1) % RUN_PAIRS == 0 or one == count - 1 for one in breaks)


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
        drawn(human_examples(30), pseudo_examples(30), 4, human_pairs=6, pseudo_pairs=6, seed=of)
        for of in (seed, seed, seed + 10)
    )

    assert all(map(equal, first, again))
    assert not all(map(equal, first, other))


def test_epochs_are_shuffled_anew():
    first, second = drawn(human_examples(20), [], 2, human_pairs=20)

    assert not equal(first, second)
