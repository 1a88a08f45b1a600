"""Score distillation: the student's probability follows the teacher's (paper, Eq. 5)."""

import torch
from torch.nn import functional


def score_distillation(
    student_logits: torch.Tensor, teacher_log_odds: torch.Tensor, *, temperature: float
) -> torch.Tensor:
    """T² · KL( Bernoulli(σ(z_T / T)) ‖ Bernoulli(σ(z_S / T)) ), one value per pair.

    z_T is the teacher's logit(Good) − logit(Bad), z_S the student's logit, T = `temperature`.
    Hinton et al. (2015) give the factor T², which keeps gradients comparable over temperatures.
    """
    teacher, student = teacher_log_odds / temperature, student_logits / temperature
    cross = functional.binary_cross_entropy_with_logits(
        student, torch.sigmoid(teacher), reduction="none"
    )
    entropy = functional.binary_cross_entropy_with_logits(
        teacher, torch.sigmoid(teacher), reduction="none"
    )
    return temperature**2 * (cross - entropy)
