"""AdamW as a recipe wants it, and how its rate rises and falls."""

from typing import Any, Protocol

import torch
from torch import nn

from trainer.recipes import Recipe
from trainer.students.student import Student


class Schedule(Protocol):
    """What says how a rate rises and falls: a recipe or an adaptation."""

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        ...

    @property
    def warmup_share(self) -> float:
        """The share of them in which the rate rises."""
        ...


def make_optimiser(student: Student, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW: what places the logits at its own rate and without decay (design §3, row 7)."""
    own = student.calibration()
    ids = {id(parameter) for parameter in own}
    rest = [parameter for parameter in student.parameters() if id(parameter) not in ids]
    groups = [
        {"params": rest, "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay},
        {"params": own, "lr": recipe.calibration_rate, "weight_decay": 0.0},
    ]
    return _adamw(groups)


def encoder_optimiser(encoder: nn.Module, *, rate: float, decay: float) -> torch.optim.Optimizer:
    """AdamW for an encoder alone, of which every parameter is trained alike."""
    return _adamw([{"params": list(encoder.parameters()), "lr": rate, "weight_decay": decay}])


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's rate to this factor of its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def warm_linear(step: int, schedule: Schedule) -> float:
    """The rate's factor at a step: a linear warm-up, then linear to zero at the end."""
    warmup = max(1, round(schedule.steps * schedule.warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (schedule.steps - step) / max(1, schedule.steps - warmup))


def _adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    for group in groups:
        group["peak"] = group["lr"]
    return torch.optim.AdamW(groups, fused=True)
