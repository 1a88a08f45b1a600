"""The checks of the real-engine proof are held to answers that must fail them."""

from dataclasses import replace
from functools import cache
from random import Random

import pytest

from relevance.domain import Label
from relevance.sample_shop import ShopConfig, make_shop
from tests.vllm.checks import Seen, measured, shortfalls, token_overlap


@cache
def gold_pairs() -> tuple[Seen, ...]:
    """A small shop as its own gold sees it: what a perfect judge would say."""
    shop = make_shop(ShopConfig(seed=5, items=600, labelled_queries=30, unlabelled_queries=5))
    items = {item.item_id: item for item in shop.items}
    pairs = []
    for pair, gold in zip(shop.pairs, shop.gold, strict=True):
        assert gold.chain_of_thought is not None
        thought, item = gold.chain_of_thought, items[gold.item_id]
        pairs.append(Seen(gold.query, item, pair.good, thought, gold.log_odds, thought))
    return tuple(pairs)


def test_gold_passes() -> None:
    """A perfect judge has a perfect product and parses; its labels differ by the noise alone."""
    found = measured(gold_pairs())

    assert shortfalls(found) == []
    assert (found.parsed, found.product_f1, found.verdict_f1) == (1.0, 1.0, 1.0)
    assert 0.85 < found.roc_auc < 1.0


def test_a_constant_chain_of_thought_fails() -> None:
    """The same words for every pair, whatever the log-odds."""
    constant = gold_pairs()[0].thought

    found = measured([replace(pair, thought=constant) for pair in gold_pairs()])

    assert [said.partition(":")[0] for said in shortfalls(found)] == ["grounded", "product_f1"]


def test_shuffled_chains_of_thought_fail() -> None:
    """Every chain is right, of another pair."""
    thoughts = [pair.thought for pair in gold_pairs()]
    Random(0).shuffle(thoughts)

    found = measured(
        [replace(p, thought=thought) for p, thought in zip(gold_pairs(), thoughts, strict=True)]
    )

    assert [said.partition(":")[0] for said in shortfalls(found)] == ["grounded", "product_f1"]


def test_constant_and_shuffled_judgements_fail() -> None:
    """Right words with a score that knows nothing."""
    odds = [pair.log_odds for pair in gold_pairs()]
    Random(0).shuffle(odds)
    for scores in ([0.0] * len(odds), odds):
        found = measured(
            [replace(p, log_odds=score) for p, score in zip(gold_pairs(), scores, strict=True)]
        )

        assert [said.partition(":")[0] for said in shortfalls(found)] == ["roc_auc"]


def test_chains_that_are_missing_fail() -> None:
    """One in ten without a chain of thought is too many."""
    thinned = [
        replace(p, thought=p.thought if i % 10 else None) for i, p in enumerate(gold_pairs())
    ]

    found = measured(thinned)

    assert found.parsed == pytest.approx(0.9, abs=0.01)
    assert "parsed" in [said.partition(":")[0] for said in shortfalls(found)]


def test_a_flipped_verdict_is_the_right_product_with_the_wrong_verdict() -> None:
    """The chain of another item of the same query."""
    good = [pair for pair in gold_pairs() if pair.gold.label is Label.GOOD]
    bad = {pair.query: pair.thought for pair in gold_pairs() if "product" in pair.gold.mismatching}
    lied = [replace(pair, thought=bad[pair.query]) for pair in good if pair.query in bad]
    assert lied

    found = measured([*lied, gold_pairs()[0]])

    assert found.product_f1 > 0.9
    assert found.verdict_f1 < 0.5


def test_token_overlap_knows_less_than_gold() -> None:
    """It stands beside as what needs no model."""
    assert 0.55 < token_overlap(gold_pairs()) < measured(gold_pairs()).roc_auc
