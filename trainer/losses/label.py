"""Cross-entropy on the human label, or on the teacher's verdict where there is none."""

import torch
from torch.nn import functional


def label_cross_entropy(student_logits: torch.Tensor, good: torch.Tensor) -> torch.Tensor:
    """−y log σ(z) − (1 − y) log(1 − σ(z)), one value per pair; `good` is y ∈ {0, 1}."""
    return functional.binary_cross_entropy_with_logits(
        student_logits, good.to(student_logits.dtype), reduction="none"
    )
