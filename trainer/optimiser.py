"""AdamW as a recipe wants it, and how its rate rises and falls."""

import torch

from trainer.recipes import Recipe
from trainer.students.student import Student


def make_optimiser(student: Student, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW: what places the logits at its own rate and without decay (design §3, row 7)."""
    own = student.calibration()
    ids = {id(parameter) for parameter in own}
    rest = [parameter for parameter in student.parameters() if id(parameter) not in ids]
    groups = [
        {"params": rest, "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay},
        {"params": own, "lr": recipe.calibration_rate, "weight_decay": 0.0},
    ]
    for group in groups:
        group["peak"] = group["lr"]
    return torch.optim.AdamW(groups, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to this factor of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def warm_linear(step: int, recipe: Recipe) -> float:
    """The rate's factor at a step: a linear warm-up, then linear to zero at the end."""
    warmup = max(1, round(recipe.steps * recipe.warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (recipe.steps - step) / max(1, recipe.steps - warmup))
