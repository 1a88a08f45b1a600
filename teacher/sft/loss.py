"""The loss of fine-tuning: the answer's tokens, judgement and verdicts perhaps weighing more.

Denominators count the answer tokens of a whole optimiser step, over all micro-batches and
processes, so that how a step is cut does not change it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from teacher.sft.tokens import IGNORED, JudgementTokens, VerdictTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Emphasis:
    """Factors on single tokens' losses: on the judgement, and on every match and mismatch.

    Without `verdicts` those weigh like any other token.
    """

    judgement: JudgementTokens
    judgement_weight: float = 1.0
    verdicts: VerdictTokens | None = None
    verdict_weight: float = 1.0

    def weights(self, labels: Int[Tensor, "batch kept"]) -> Float[Tensor, "batch kept"]:
        """Every token's factor, 1 for most; the paper's loss (Eq. 3) has no others."""
        judgements = is_judgement(labels, self.judgement)
        weights = 1 + (self.judgement_weight - 1) * judgements.float()
        if self.verdicts is not None:
            verdicts = is_verdict(labels, self.verdicts)
            weights = weights + (self.verdict_weight - 1) * verdicts.float()
        return weights


def answer_loss(
    logits: Float[Tensor, "batch kept vocabulary"],
    labels: Int[Tensor, "batch kept"],
    emphasis: Emphasis,
    *,
    tokens: Tensor | float,
) -> Float[Tensor, ""]:
    """Sum of the answers' negative log-likelihoods over `tokens`; `logits[t]` speak of `labels[t]`.

    Taken in float32. Positions labelled `IGNORED` do not count.
    """
    told = labels != IGNORED
    losses = cross_entropy(logits[told].float(), labels[told], reduction="none")
    return (losses * emphasis.weights(labels)[told]).sum() / tokens


def is_judgement(
    labels: Int[Tensor, "batch kept"], judgement: JudgementTokens
) -> Bool[Tensor, "batch kept"]:
    """Where the judgement token is: each answer's last token that is a label.

    Behind it stands at most a cause, whose words are aspects.
    """
    found = (labels == judgement.good) | (labels == judgement.bad)
    later = found.flip(1).cumsum(1).flip(1)
    return found & (later == 1)


def is_verdict(
    labels: Int[Tensor, "batch kept"], verdicts: VerdictTokens
) -> Bool[Tensor, "batch kept"]:
    """Where a verdict is told: its token behind those that stand before every verdict."""
    found = (labels == verdicts.match) | (labels == verdicts.mismatch)
    for back, token in enumerate(reversed(verdicts.before), start=1):
        earlier = torch.nn.functional.pad(labels, (back, 0), value=IGNORED)[:, : labels.shape[1]]
        found = found & (earlier == token)
    return found


def kept_positions(labels: Int[Tensor, "batch tokens"]) -> int:
    """How many last positions hold every label of the batch, and the position before the first."""
    told = (labels != IGNORED).any(0).nonzero()
    first = int(told[0]) if len(told) else labels.shape[1] - 1
    return labels.shape[1] - max(first - 1, 0)


def shifted(labels: Int[Tensor, "batch tokens"], kept: int) -> Int[Tensor, "batch kept"]:
    """For each of the last `kept` positions the label of the next one."""
    ended = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    return ended[:, -kept:]
