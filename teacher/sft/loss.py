"""The loss of fine-tuning: the answer's tokens, the judgement token perhaps weighing more.

Denominators count the answer tokens of a whole optimiser step, over all micro-batches and
processes, so that how a step is cut does not change it.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from teacher.sft.tokens import IGNORED, JudgementTokens


def answer_loss(
    logits: Float[Tensor, "batch kept vocabulary"],
    labels: Int[Tensor, "batch kept"],
    judgement: JudgementTokens,
    *,
    judgement_weight: float,
    tokens: Tensor | float,
) -> Float[Tensor, ""]:
    """Sum of the answers' negative log-likelihoods over `tokens`; `logits[t]` speak of `labels[t]`.

    Taken in float32. Positions labelled `IGNORED` do not count.
    """
    told = labels != IGNORED
    losses = cross_entropy(logits[told].float(), labels[told], reduction="none")
    if judgement_weight != 1:
        losses = losses * (1 + (judgement_weight - 1) * is_judgement(labels, judgement)[told])
    return losses.sum() / tokens


def is_judgement(
    labels: Int[Tensor, "batch kept"], judgement: JudgementTokens
) -> Float[Tensor, "batch kept"]:
    """1 at the judgement token: each answer's last token that is a label, 0 elsewhere.

    Behind it stands at most a cause, whose words are aspects.
    """
    found = (labels == judgement.good) | (labels == judgement.bad)
    later = found.flip(1).cumsum(1).flip(1)
    return (found & (later == 1)).float()


def kept_positions(labels: Int[Tensor, "batch tokens"]) -> int:
    """How many last positions hold every label of the batch, and the position before the first."""
    told = (labels != IGNORED).any(0).nonzero()
    first = int(told[0]) if len(told) else labels.shape[1] - 1
    return labels.shape[1] - max(first - 1, 0)


def shifted(labels: Int[Tensor, "batch tokens"], kept: int) -> Int[Tensor, "batch kept"]:
    """For each of the last `kept` positions the label of the next one."""
    ended = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    return ended[:, -kept:]
