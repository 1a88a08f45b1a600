"""What one judge gets right that another does not, and where each misses what the teacher saw.

Decisions are scores at the threshold one half, as the service's are; nothing is ranked here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.records import read_judgements

SHOWN = 5  # cases of a kind that a report shows


@dataclass(frozen=True, slots=True)
class Flips:
    """Pairs whose decision changed from one judge to another; `examples` are row numbers.

    The rows shown are those whose logit moved furthest.
    """

    wrong_to_right: int
    right_to_wrong: int
    both_wrong: int
    both_right: int
    righted: tuple[int, ...]
    broken: tuple[int, ...]


def count_flips(good: np.ndarray, before: np.ndarray, after: np.ndarray) -> Flips:
    """Compare two judges' decisions (logit ≥ 0 is Good) with the labels: (pairs,) each."""
    was, now = (before >= 0) == good, (after >= 0) == good
    moved = np.abs(after - before)
    return Flips(
        int((~was & now).sum()),
        int((was & ~now).sum()),
        int((~was & ~now).sum()),
        int((was & now).sum()),
        _furthest(~was & now, moved),
        _furthest(was & ~now, moved),
    )


def agreement(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """How often two judges decide alike, and Cohen's kappa of it; logits (pairs,)."""
    first, second = one >= 0, other >= 0
    alike = float((first == second).mean())
    by_chance = first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean())
    kappa = (alike - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
    return {"alike": alike, "kappa": float(kappa)}


def read_mismatches(judgements: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """The aspects that a teacher found mismatching, by pair; pairs without any are left out."""
    return {
        (j.query, j.item_id): j.chain_of_thought.mismatching
        for j in read_judgements(judgements)
        if j.chain_of_thought is not None and j.chain_of_thought.mismatching
    }


def mismatch_recall(
    keys: Sequence[tuple[str, str]],
    good: np.ndarray,
    logits: np.ndarray,
    mismatches: Mapping[tuple[str, str], tuple[str, ...]],
) -> dict[str, tuple[int, int]]:
    """By aspect: how many Bad pairs the teacher found it mismatching in, and how many were caught.

    Caught is a logit below 0. Pairs that humans call Good are left out: there the teacher erred.
    """
    found: dict[str, tuple[int, int]] = {}
    for key, is_good, logit in zip(keys, good, logits, strict=True):
        for aspect in () if is_good else mismatches.get(key, ()):
            pairs, caught = found.get(aspect, (0, 0))
            found[aspect] = (pairs + 1, caught + int(logit < 0))
    return found


def _furthest(chosen: np.ndarray, moved: np.ndarray) -> tuple[int, ...]:
    rows = np.flatnonzero(chosen)
    return tuple(int(row) for row in rows[np.argsort(-moved[rows], kind="stable")][:SHOWN])
