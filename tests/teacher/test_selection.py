"""Self-consistency: label first, then agreement, then brevity; and everything is counted."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.chain_of_thought import render
from relevance.domain import AspectFinding, ChainOfThought, Label, Verdict, conclude
from teacher.annotation import AnnotatedPair, Annotation
from teacher.selection import Dropped, Selected, Statistics, overlap, select, verdicts_of

RED = AspectFinding("color", "red", "red", Verdict.MATCH)
BLUE = AspectFinding("color", "red", "blue", Verdict.MISMATCH)
BRAND = AspectFinding("brand", "acme", "acme", Verdict.MATCH)
SHOE = AspectFinding("product", "shoe", None, Verdict.MISSING)
FINDINGS = (RED, BLUE, BRAND, SHOE)


def sample(
    *findings: AspectFinding, good: bool = True, annotator: str = "a", number: int = 0
) -> Annotation:
    thought = conclude(findings, score=float(good), threshold=0.5)
    return Annotation(annotator, number, render(thought))


def chosen(*annotations: Annotation, good: bool = True) -> ChainOfThought:
    found = select(annotations, good=good)
    assert isinstance(found, Selected)
    return found.thought


SAMPLES = st.lists(
    st.builds(
        lambda findings, good, number: sample(*findings, good=good, number=number),
        st.lists(st.sampled_from(FINDINGS), unique_by=lambda f: f.aspect, max_size=3),
        st.booleans(),
        st.integers(0, 99),
    ),
    max_size=8,
)


@given(SAMPLES, st.booleans())
def test_what_is_selected_concludes_the_human_label(
    annotations: list[Annotation], good: bool
) -> None:
    found = select(annotations, good=good)

    labels = [one.thought.label for one in annotations if one.thought]
    if (Label.GOOD if good else Label.BAD) in labels:
        assert isinstance(found, Selected)
        assert (found.thought.label is Label.GOOD) == good
    else:
        assert found in (Dropped.INCONSISTENT, Dropped.UNREADABLE)


@given(SAMPLES, st.booleans(), st.randoms())
def test_the_order_of_samples_changes_nothing(
    annotations: list[Annotation], good: bool, chance: random.Random
) -> None:
    shuffled = annotations.copy()
    chance.shuffle(shuffled)

    one, other = select(annotations, good=good), select(shuffled, good=good)

    if isinstance(one, Selected):
        assert isinstance(other, Selected)
        assert (one.thought, one.agreement) == (other.thought, pytest.approx(other.agreement))
    else:
        assert one is other


@given(SAMPLES, st.booleans())
def test_no_other_sample_agrees_more(annotations: list[Annotation], good: bool) -> None:
    found = select(annotations, good=good)
    if isinstance(found, Dropped):
        return
    kept = [t for one in annotations if (t := one.thought) and (t.label is Label.GOOD) == good]

    for at, thought in enumerate(kept):
        others = kept[:at] + kept[at + 1 :]
        shares = [overlap(verdicts_of(thought), verdicts_of(other)) for other in others]
        assert sum(shares) / max(len(shares), 1) <= found.agreement + 1e-12


def test_the_verdicts_that_most_samples_share_win() -> None:
    lone, shared = sample(BLUE, number=0), [sample(RED, BRAND, number=n) for n in (1, 2)]

    assert chosen(lone, *shared).findings == (RED, BRAND)


def test_of_equally_agreed_samples_the_shortest_wins() -> None:
    assert chosen(sample(RED, BRAND), sample(SHOE)).findings == (SHOE,)


def test_another_case_is_the_same_verdict() -> None:
    upper = AspectFinding("color", "RED", "red", Verdict.MATCH)

    assert verdicts_of(ChainOfThought((upper,), Label.GOOD)) == verdicts_of(
        ChainOfThought((RED,), Label.GOOD)
    )


def test_texts_that_are_no_chain_are_passed_over() -> None:
    noise = Annotation("b", 0, "Sure! Here is the analysis:")

    assert chosen(noise, sample(RED)).findings == (RED,)
    assert select([noise], good=True) is Dropped.UNREADABLE


def test_everything_is_counted() -> None:
    counts = Statistics()
    pairs = [
        ((sample(RED), sample(RED, BRAND, annotator="b")), True),
        ((sample(good=False), Annotation("b", 0, "?")), False),
        ((sample(BLUE, good=False), sample(BLUE, good=False, annotator="b")), True),
    ]

    for annotations, good in pairs:
        counts.add(AnnotatedPair("q", "i", annotations), good=good)

    told = counts.content()
    assert (told["pairs"], told["selected"]) == (3, 2)
    assert told["drop_rate"] == pytest.approx(1 / 3)
    assert told["drop_rate_of"] == {Label.GOOD: 0.5, Label.BAD: 0.0}
    assert told["dropped"] == {Dropped.UNREADABLE: 0, Dropped.INCONSISTENT: 1}
    assert told["agreement_between_annotators"] == pytest.approx((0.5 + 1) / 2)
    assert told["selected_without_explanation"] == 0.5
    annotators = told["annotators"]
    assert isinstance(annotators, dict)
    assert annotators["a"]["label_consistent"] == pytest.approx(2 / 3)
    assert annotators["b"]["readable"] == pytest.approx(2 / 3)
