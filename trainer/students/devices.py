"""Where tensors live: values of tensors moved to a device, and which device a student is on."""

from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import nn

V = TypeVar("V")


def best_device() -> torch.device:
    """The first CUDA device where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(student: nn.Module) -> torch.device:
    """The device of a module's parameters; the processor where it has none."""
    first = next(student.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def moved(value: V, device: torch.device) -> V:
    """A frozen dataclass of tensors (and of such dataclasses) on `device`; itself where it is."""
    if device.type == "cpu" or not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {}
    for field in fields(value):
        member = getattr(value, field.name)
        changes[field.name] = (
            member.to(device, non_blocking=True)
            if isinstance(member, torch.Tensor)
            else moved(member, device)
        )
    return replace(value, **changes)
