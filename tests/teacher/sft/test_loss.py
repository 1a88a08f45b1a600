"""The loss against NumPy, and against how a batch is cut."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from teacher.sft.loss import (
    Emphasis,
    answer_loss,
    is_judgement,
    is_verdict,
    kept_positions,
    shifted,
)
from teacher.sft.tokens import IGNORED, JudgementTokens, VerdictTokens

GOOD, BAD, ARROW, MATCH, MISMATCH, VOCABULARY = 3, 5, 6, 7, 8, 9
JUDGEMENT = JudgementTokens(good=GOOD, bad=BAD)
BEFORE = st.sampled_from([(), (ARROW,), (MATCH, ARROW)])
WEIGHT = st.sampled_from([1.0, 0.25, 7.0])


@st.composite
def batches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of rows that are a prompt, an answer and padding."""
    prompts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    token = st.integers(0, VOCABULARY - 1)
    answers = [draw(st.lists(token, min_size=1, max_size=6)) for _ in prompts]
    length = max(p + len(a) for p, a in zip(prompts, answers, strict=True)) + draw(
        st.integers(0, 3)
    )
    labels = torch.full((len(prompts), length), IGNORED)
    for row, (asked, said) in enumerate(zip(prompts, answers, strict=True)):
        labels[row, asked : asked + len(said)] = torch.tensor(said)
    stream = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    return torch.randn(len(prompts), length, VOCABULARY, generator=stream), labels


def by_hand(logits: torch.Tensor, labels: torch.Tensor, emphasis: Emphasis) -> float:
    """Loops over every position, in float64."""
    total = 0.0
    for scores, row in zip(logits.double().numpy(), labels.tolist(), strict=True):
        judgements = [at for at, label in enumerate(row) if label in (GOOD, BAD)]
        for at, label in enumerate(row):
            if label == IGNORED:
                continue
            before = scores[at - 1]  # the position before tells the token
            loss = np.log(np.exp(before - before.max()).sum()) + before.max() - before[label]
            weight = 1.0
            if judgements and at == judgements[-1]:
                weight = emphasis.judgement_weight
            if told_at(row, at, emphasis.verdicts):
                weight = emphasis.verdict_weight
            total += loss * weight
    return total


def told_at(row: list[int], at: int, verdicts: VerdictTokens | None) -> bool:
    """Whether the row's label there is a verdict with what belongs before it."""
    if verdicts is None:
        return False
    lead = len(verdicts.before)
    return row[at] in (MATCH, MISMATCH) and (
        at >= lead and tuple(row[at - lead : at]) == verdicts.before
    )


@st.composite
def emphases(draw: st.DrawFn) -> Emphasis:
    """Any weights, with and without verdicts."""
    found = VerdictTokens(before=draw(BEFORE), match=MATCH, mismatch=MISMATCH)
    return Emphasis(
        judgement=JUDGEMENT,
        judgement_weight=draw(WEIGHT),
        verdicts=draw(st.sampled_from([None, found])),
        verdict_weight=draw(WEIGHT),
    )


@given(batches(), emphases(), st.integers(1, 50))
def test_the_loss_is_the_answers_likelihood(
    batch: tuple[torch.Tensor, torch.Tensor], emphasis: Emphasis, tokens: int
) -> None:
    """Equal to a loop over every labelled token, judgement and verdicts by their weights."""
    logits, labels = batch
    kept = kept_positions(labels)

    loss = answer_loss(logits[:, -kept:], shifted(labels, kept), emphasis, tokens=tokens)

    np.testing.assert_allclose(loss.item(), by_hand(logits, labels, emphasis) / tokens, rtol=1e-4)


@given(batches(), st.integers(1, 50))
def test_without_weights_it_is_the_papers_loss(
    batch: tuple[torch.Tensor, torch.Tensor], tokens: int
) -> None:
    """Every answer token counts alike, as torch's own cross entropy has it."""
    logits, labels = batch
    kept = kept_positions(labels)

    loss = answer_loss(
        logits[:, -kept:], shifted(labels, kept), Emphasis(judgement=JUDGEMENT), tokens=tokens
    )

    whole = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum"
    )
    torch.testing.assert_close(loss, whole / tokens)


@given(batches())
def test_no_label_falls_outside_of_the_kept_positions(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Every label but one of a first token is among the shifted ones, and none twice."""
    _, labels = batch

    asked = shifted(labels, kept_positions(labels))

    told = labels[:, 1:]
    assert sorted(asked[asked != IGNORED].tolist()) == sorted(told[told != IGNORED].tolist())


def test_the_judgement_is_the_last_label_of_a_row() -> None:
    """A title may say "Good" as well; rows may have none."""
    labels = torch.tensor(
        [[IGNORED, GOOD, 1, BAD, 2, IGNORED], [GOOD, 1, 1, 1, 1, GOOD], [1, 1, 1, 1, 1, IGNORED]]
    )

    found = is_judgement(labels, JUDGEMENT)

    assert found.int().tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]


def test_a_verdict_stands_behind_its_arrow() -> None:
    """The same word in a value is none, nor is one that begins a row."""
    labels = torch.tensor(
        [[MATCH, 1, ARROW, MATCH, MATCH, IGNORED], [ARROW, MISMATCH, ARROW, 1, MISMATCH, ARROW]]
    )

    found = is_verdict(labels, VerdictTokens(before=(ARROW,), match=MATCH, mismatch=MISMATCH))

    assert found.int().tolist() == [[0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]]
