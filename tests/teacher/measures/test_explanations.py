"""Explanations are measured: verdicts as a score, and what happens when evidence goes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import AspectFinding, Verdict
from relevance.records import Pair
from teacher.measures.explanations import faithfulness, verdicts_alone, worth
from teacher.measures.held_out import HeldOut, difference_of_means
from teacher.online.catalogue import CatalogueJudge
from tests.teacher.make_teacher import catalogue, labelled_pairs

RED = AspectFinding("color", "red", "red", Verdict.MATCH)
BLUE = AspectFinding("color", "red", "blue", Verdict.MISMATCH)
SILENT = AspectFinding("brand", "acme", None, Verdict.MISSING)


@pytest.fixture(scope="module")
def fold(judge: CatalogueJudge) -> HeldOut:
    pairs = labelled_pairs()
    groups = tuple(pair.query for pair in pairs)
    return HeldOut(0, judge, pairs, groups, {item.item_id: item for item in catalogue()})


@given(st.lists(st.sampled_from([RED, BLUE, SILENT])))
def test_one_more_match_never_lowers_the_worth(findings: list[AspectFinding]) -> None:
    assert worth([*findings, RED]) >= worth(findings)
    assert -1 <= worth(findings) <= 1


def test_verdicts_alone_are_held_against_token_overlap(fold: HeldOut) -> None:
    asked = [Pair("crimson backpack", i.item_id, "Red-" in i.item_id) for i in catalogue()[60:110]]
    groups = tuple(f"{n}" for n, _ in enumerate(asked))

    found = verdicts_alone([replace(fold, pairs=tuple(asked), groups=groups)])

    assert found.verdicts > found.overlap  # no title says crimson, but red is another word for it
    assert found.difference.value == pytest.approx(found.verdicts - found.overlap)


def test_deleting_evidence_moves_scores_more_than_deleting_anything_else(fold: HeldOut) -> None:
    found = faithfulness([fold], of_each=60)

    assert found.pairs == 60
    assert found.moved_by_evidence > 0.7
    assert found.moved_by_evidence > found.moved_by_random
    assert found.difference.value == pytest.approx(found.moved_by_evidence - found.moved_by_random)
    assert sum(count for count, _ in found.of_label.values()) == found.pairs


def test_the_difference_of_means_is_that(fold: HeldOut) -> None:
    rows = [(f"q{n % 5}", float(n), float(n) - 2) for n in range(20)]

    found = difference_of_means(rows)

    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))
