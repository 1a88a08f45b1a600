"""The state of an unfinished training: what it takes to go on to the same bits.

Written whole at every look. Batches are drawn by seed alone, so their place is the step's number.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from relevance.atomic import replacing_file
from relevance.errors import BadInput
from trainer.recipes import Adaptation, Recipe

FORMAT = "relevance-run/1"

Weights = Mapping[str, torch.Tensor]
_WRONG_CONTENT = (ValueError, TypeError, UnpicklingError)


@dataclass(frozen=True, slots=True)
class RunState:
    """After `step` steps: student, optimiser, the curve so far, the best state and the last ones.

    `curve` rows are (step, Neg PR-AUC, ROC-AUC). `fingerprint` is of recipe and data.
    """

    fingerprint: str
    step: int
    student: Weights
    optimiser: Mapping[str, Any]
    curve: tuple[tuple[int, float, float], ...]
    best: Weights
    last: tuple[Weights, ...]


def write_state(path: Path, state: RunState) -> None:
    """Write a run's state, crash-safe."""
    content = {name: getattr(state, name) for name in RunState.__slots__}
    with replacing_file(path) as temporary:
        torch.save({"format": FORMAT, **content}, temporary)


def read_state(path: Path, *, fingerprint: str) -> RunState | None:
    """The state to go on from; None where there is none. `BadInput` where it is another run's."""
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        state = RunState(**content)
    except (OSError, EOFError, RuntimeError, LookupError, *_WRONG_CONTENT) as fault:
        reason = (str(fault).splitlines() or ["an empty file"])[0]
        raise BadInput(f"{path}: expected the state of a run: {reason}") from fault
    if state.fingerprint != fingerprint:
        raise BadInput(
            f"{path}: expected the state of a run with this recipe and data, got another's\n"
            "hint: remove it to start anew"
        )
    return state


def fingerprint_of(recipe: Recipe | Adaptation, backbone: str, data: Iterable[object]) -> str:
    """Sixteen hex digits over the recipe, the backbone's name and everything learned from."""
    digest = hashlib.sha256(json.dumps([asdict(recipe), backbone], sort_keys=True).encode())
    for row in data:
        digest.update(repr(row).encode())
    return digest.hexdigest()[:16]
