"""Listwise distillation: within a query the student ranks items as the teacher does.

Past the paper: its pointwise divergence does not see the order inside a query. ListNet's top-one
probabilities (Cao et al., 2007), softened by a temperature as in Hinton et al. (2015). Switched on
by a recipe's `lambda_listwise`.
"""

import torch


def listwise_distillation(
    student_logits: torch.Tensor,
    teacher_log_odds: torch.Tensor,
    lists: torch.Tensor,
    *,
    temperature: float,
) -> torch.Tensor:
    """T² · p_T (log p_T − log p_S) of each pair: (pairs,); a list's sum is its divergence.

    p = softmax(z / T) over the pairs that have the same number in `lists` and a teacher's score
    (`teacher_log_odds` is NaN where there is none; such a pair gets 0, as does one alone in its
    list). Divide the sum by the number of lists with at least two scored pairs.
    """
    usable = ~teacher_log_odds.isnan()
    together = (lists[:, None] == lists[None, :]) & usable[:, None] & usable[None, :]
    counted = usable & (together.sum(dim=1) > 1)
    teacher = _log_softmax(torch.where(usable, teacher_log_odds, 0.0) / temperature, together)
    student = _log_softmax(student_logits / temperature, together)
    each = teacher.exp() * (teacher - student)
    return torch.where(counted, temperature**2 * each, 0.0)


def _log_softmax(logits: torch.Tensor, together: torch.Tensor) -> torch.Tensor:
    """z_i − log Σ exp z_j over the j together with i; pairs with nobody get 0."""
    alone = ~together.any(dim=1)
    members = together | (
        alone[:, None] & torch.eye(len(logits), dtype=torch.bool).to(alone.device)
    )
    spread = logits[None, :].expand(len(logits), -1).masked_fill(~members, -torch.inf)
    return logits - spread.logsumexp(dim=1)
