"""Counterfactuals: one known change each, and a score that must move with it."""

import pytest

from relevance.domain import Item
from relevance.records import Pair
from teacher.measures.counterfactuals import (
    Change,
    Counterfactual,
    as_data_set,
    counterfactuals,
    pass_rates,
    passes,
)
from teacher.measures.held_out import HeldOut
from teacher.online.catalogue import CatalogueJudge

ITEM = Item(
    "1",
    "Norvane Women's Backpack, Red, 710 ml, no laces, with Zipper",
    brand="Norvane",
    color="Red",
    category_path="Luggage > Bags > Backpacks",
)
QUERY = "red norvane women's backpack 24 oz without laces"


def cases(judge: CatalogueJudge, query: str = QUERY, item: Item = ITEM) -> dict[Change, Item]:
    return {case.change: case.after[1] for case in made(judge, query, item)}


def made(judge: CatalogueJudge, query: str = QUERY, item: Item = ITEM) -> list[Counterfactual]:
    fold = HeldOut(0, judge, (Pair(query, item.item_id, True),), (query,), {item.item_id: item})
    return counterfactuals(fold, of_each=5)


def test_each_change_changes_just_what_it_names(judge: CatalogueJudge) -> None:
    changed = cases(judge)

    assert "Norvane" not in changed[Change.BRAND].title
    assert changed[Change.BRAND].brand != "Norvane"
    assert "Red" not in changed[Change.COLOR].title
    assert changed[Change.COLOR].color != "Red"
    assert "1421 ml" in changed[Change.SIZE].title
    assert "Women" not in changed[Change.GENDER].title
    assert "men's" in changed[Change.GENDER].title
    assert changed[Change.ACCESSORY].title.startswith("Replacement strap for Norvane")
    assert "with lace" in changed[Change.WITHOUT_REMOVED].title
    assert changed[Change.TYPO] is ITEM
    assert ITEM.title.replace("Red", "") == changed[Change.COLOR].title.replace(
        changed[Change.COLOR].color, ""
    )


def test_a_query_can_ask_for_what_comes_with_the_item_to_be_absent(judge: CatalogueJudge) -> None:
    item = Item("2", "Red Backpack with zipper", brand="Norvane")

    (added,) = [c for c in made(judge, "red backpack", item) if c.change is Change.WITHOUT_ADDED]

    assert added.after == ("red backpack without zipper", item)


def test_a_slip_of_the_finger_keeps_every_letter(judge: CatalogueJudge) -> None:
    (typo,) = [c for c in made(judge) if c.change is Change.TYPO]

    assert typo.after[0] != QUERY
    assert sorted(typo.after[0]) == sorted(QUERY)


def test_bad_pairs_are_not_changed(judge: CatalogueJudge) -> None:
    fold = HeldOut(0, judge, (Pair(QUERY, "1", False),), (QUERY,), {"1": ITEM})

    assert counterfactuals(fold, of_each=5) == []


@pytest.mark.parametrize(
    ("change", "before", "after", "expected"),
    [
        (Change.BRAND, 1.0, 0.5, True),
        (Change.BRAND, 1.0, 1.0, False),
        (Change.BRAND, -1.0, -2.0, True),
        (Change.TYPO, 1.0, 0.1, True),
        (Change.TYPO, 1.0, -0.1, False),
    ],
)
def test_a_contradiction_must_cost_and_a_typo_must_not_turn_the_label(
    change: Change, before: float, after: float, expected: bool
) -> None:
    assert passes(change, before, after) is expected


def test_a_judge_that_ignores_the_change_passes_nothing_but_typos(judge: CatalogueJudge) -> None:
    rates = pass_rates(made(judge), lambda fold, query, item: 1.0)

    assert rates[Change.TYPO] == (1, 1.0)
    assert all(rate == (1, 0.0) for change, rate in rates.items() if change is not Change.TYPO)


def test_the_teacher_sees_the_changes_it_has_words_for(judge: CatalogueJudge) -> None:
    item = Item("2", "Norvane Backpack, Red, 710 ml", brand="Norvane", color="Red")

    rates = pass_rates(
        made(judge, "red norvane backpack", item),
        lambda fold, query, item: judge.judge(query, item).log_odds,
    )

    assert rates[Change.COLOR] == rates[Change.TYPO] == (1, 1.0)


def test_the_data_set_holds_every_pair_before_and_after(judge: CatalogueJudge) -> None:
    found = made(judge)

    items, pairs = as_data_set(found)

    ids = {item.item_id for item in items}
    assert len(ids) == len(items)
    assert {(p.query, p.item_id) for p in pairs} == {
        (query, item.item_id) for c in found for query, item in (c.before, c.after)
    }
    assert {p.item_id for p in pairs} <= ids
