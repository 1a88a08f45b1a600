"""Domain values cannot be built wrong, and conclusions follow from score and verdicts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import (
    AspectFinding,
    ChainOfThought,
    EvidenceSpan,
    Judgement,
    Label,
    Relevance,
    Side,
    Target,
    Verdict,
    clip_log_odds,
    conclude,
)
from relevance.errors import BadInput
from tests.relevance.make_values import findings, make_finding


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 2)])
def test_an_evidence_span_holds_at_least_one_character(start, end):
    with pytest.raises(BadInput, match=r"expected 0 <= start < end, got \["):
        EvidenceSpan(Side.QUERY, start, end, Relevance.RELEVANT, "color")


def test_an_unknown_aspect_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match="expected one of category, .* got `shade`"):
        make_finding("shade")
    with pytest.raises(BadInput, match="got `shade`"):
        EvidenceSpan(Side.QUERY, 0, 1, Relevance.RELEVANT, "shade")


@pytest.mark.parametrize("value", ["", " ", " red", "red ", "red\nblue", "red\u2028blue"])
def test_values_are_single_trimmed_lines(value):
    with pytest.raises(BadInput, match="expected one trimmed line"):
        make_finding(asked=value)
    with pytest.raises(BadInput, match="expected one trimmed line"):
        make_finding(offered=value)


def test_offered_is_none_exactly_where_the_verdict_is_missing():
    with pytest.raises(BadInput, match="expected an offered value unless"):
        make_finding(offered=None, verdict=Verdict.MATCH)
    with pytest.raises(BadInput, match="expected an offered value unless"):
        make_finding(offered="blue", verdict=Verdict.MISSING)


def test_the_words_for_a_silent_item_are_no_offered_value():
    with pytest.raises(BadInput, match="not stated"):
        make_finding(offered="(not stated)")

    assert AspectFinding("color", "(not stated)", None, Verdict.MISSING).asked == "(not stated)"


def test_a_good_judgement_has_no_cause():
    with pytest.raises(BadInput, match="a Good judgement has no cause, got `color`"):
        ChainOfThought((make_finding(),), Label.GOOD, "color")


@pytest.mark.parametrize("cause", [None, "brand", "other"])
def test_a_bad_judgements_cause_is_a_mismatching_aspect(cause):
    with pytest.raises(BadInput, match="expected color, got"):
        ChainOfThought((make_finding(),), Label.BAD, cause)


def test_a_bad_judgement_without_a_mismatch_is_unexplained():
    thought = ChainOfThought((), Label.BAD, "other")

    assert thought.unexplained
    assert not thought.overruled


def test_a_good_judgement_with_a_mismatch_is_overruled():
    thought = ChainOfThought((make_finding(),), Label.GOOD)

    assert thought.overruled
    assert not thought.unexplained


@given(st.lists(findings()), st.floats(0, 1), st.floats(0, 1))
def test_the_judgement_follows_the_score_and_the_cause_follows_the_verdicts(found, score, limit):
    thought = conclude(tuple(found), score=score, threshold=limit)

    assert (thought.label is Label.GOOD) == (score >= limit)
    if thought.label is Label.BAD:
        assert thought.cause == (*thought.mismatching, "other")[0]


@given(st.floats())
def test_clipped_log_odds_can_be_stored(log_odds):
    clipped = clip_log_odds(log_odds)

    if math.isnan(log_odds):
        assert math.isnan(clipped)
    else:
        assert clipped == max(-8.0, min(8.0, log_odds))
        Judgement("human", "red shoe", "1", Target.DIRECT, clipped, "none")


@pytest.mark.parametrize("log_odds", [8.01, -9, math.nan, math.inf])
def test_log_odds_out_of_range_are_refused(log_odds):
    with pytest.raises(BadInput, match="expected within ±8.0"):
        Judgement("human", "red shoe", "1", Target.DIRECT, log_odds, "none")
