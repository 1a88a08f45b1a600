"""Score distillation: the student's probability follows the teacher's (paper, Eqs. 4 and 5).

What the teacher's score is (log-odds, or the paper's exponentiated probabilities) and whether the
temperature's square is multiplied back are separate functions; a recipe names them.
"""

import torch
from torch.nn import functional


def bernoulli_divergence(
    teacher_logits: torch.Tensor, student_logits: torch.Tensor
) -> torch.Tensor:
    """KL( Bernoulli(σ(z_T)) ‖ Bernoulli(σ(z_S)) ) of each pair, in nats and never negative.

    Σ over Good and Bad of p_T (log p_T − log p_S), as cross-entropy minus entropy, which stays
    finite for logits of any size.
    """
    target = torch.sigmoid(teacher_logits)
    cross = functional.binary_cross_entropy_with_logits(student_logits, target, reduction="none")
    entropy = functional.binary_cross_entropy_with_logits(teacher_logits, target, reduction="none")
    return cross - entropy


def score_distillation(
    student_logits: torch.Tensor, teacher_log_odds: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """T² · KL( Bernoulli(σ(z_T / T)) ‖ Bernoulli(σ(z_S / T)) ), one value per pair.

    z_T is the teacher's logit(Good) − logit(Bad), z_S the student's logit, T = `temperature`.
    Hinton et al. (2015) give the factor T², which keeps gradients comparable over temperatures.
    """
    return temperature**2 * unscaled_score_distillation(
        student_logits, teacher_log_odds, temperature=temperature
    )


def unscaled_score_distillation(
    student_logits: torch.Tensor, teacher_log_odds: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """KL( Bernoulli(σ(z_T / T)) ‖ Bernoulli(σ(z_S / T)) ): the paper's Eq. 5 as printed, no T²."""
    return bernoulli_divergence(teacher_log_odds / temperature, student_logits / temperature)


def paper_eq4(teacher_log_odds: torch.Tensor) -> torch.Tensor:
    """The log-odds of the paper's Eq. 4, which exponentiates probabilities.

    s_T = exp(p_G) / (exp(p_G) + exp(p_B)) = σ(p_G − p_B), so its log-odds are p_G − p_B =
    tanh(z_T / 2), within ±1: s_T never leaves [0.269, 0.731].
    """
    return torch.tanh(teacher_log_odds / 2)
