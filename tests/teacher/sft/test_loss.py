"""The loss against NumPy, and against how a batch is cut."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from teacher.sft.loss import answer_loss, is_judgement, kept_positions, shifted
from teacher.sft.tokens import IGNORED, JudgementTokens

GOOD, BAD, VOCABULARY = 3, 5, 9
JUDGEMENT = JudgementTokens(good=GOOD, bad=BAD)


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


def by_hand(logits: torch.Tensor, labels: torch.Tensor, weight: float) -> float:
    """Loops over every position, in float64."""
    total = 0.0
    for scores, row in zip(logits.double().numpy(), labels.tolist(), strict=True):
        verdicts = [at for at, label in enumerate(row) if label in (GOOD, BAD)]
        for at, label in enumerate(row):
            if label == IGNORED:
                continue
            before = scores[at - 1]  # the position before tells the token
            loss = np.log(np.exp(before - before.max()).sum()) + before.max() - before[label]
            total += loss * (weight if verdicts and at == verdicts[-1] else 1.0)
    return total


@given(batches(), st.sampled_from([1.0, 0.25, 7.0]), st.integers(1, 50))
def test_the_loss_is_the_answers_likelihood(
    batch: tuple[torch.Tensor, torch.Tensor], weight: float, tokens: int
) -> None:
    """Equal to a loop over every labelled token, the last verdict weighing more."""
    logits, labels = batch
    kept = kept_positions(labels)

    loss = answer_loss(
        logits[:, -kept:], shifted(labels, kept), JUDGEMENT, judgement_weight=weight, tokens=tokens
    )

    np.testing.assert_allclose(loss.item(), by_hand(logits, labels, weight) / tokens, rtol=1e-4)


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

    assert found.tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]
