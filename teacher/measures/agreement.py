"""Does the teacher agree with people? Accuracy and Cohen's kappa beside what people reach.

Each rater is held against the teacher and against the other raters in turn. Source of kappa:
Cohen, "A coefficient of agreement for nominal scales" (1960).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from relevance.errors import BadInput
from relevance.tables import Columns, read_table
from relevance.text import normalise

RATERS = ("agent_1_rating", "agent_2_rating", "agent_3_rating")
GOOD_FROM = 2  # of the grades 0 to 3
_COLUMNS = Columns(
    "rated pairs",
    {"query": pa.string(), "item_id": pa.string()},
    optional={name: pa.float64() for name in RATERS},
)

Labels = Bool[np.ndarray, " pairs"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Accuracy and Cohen's kappa of two judges' labels."""

    accuracy: float
    kappa: float


@dataclass(frozen=True, slots=True)
class RaterRow:
    """One rater beside the teacher, and the mean of the others beside the same rater."""

    rater: str
    pairs: int
    teacher: Agreement
    other_raters: Agreement


def agreement(one: Labels, other: Labels) -> Agreement:
    """Observed agreement, and kappa = (observed − by chance) / (1 − by chance)."""
    observed = float((one == other).mean())
    chance = float(one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean()))
    return Agreement(observed, (observed - chance) / (1 - chance) if chance < 1 else float("nan"))


def read_raters(path: Path) -> dict[tuple[str, str], tuple[bool, ...]]:
    """Each rater's label of every pair that all of them rated."""
    rows = read_table(path, _COLUMNS).to_pylist()
    if not all(name in rows[0] for name in RATERS):
        raise BadInput(f"{path}: expected the columns {', '.join(RATERS)}")
    return {
        (normalise(row["query"]), row["item_id"]): tuple(row[n] >= GOOD_FROM for n in RATERS)
        for row in rows
        if all(row[name] is not None for name in RATERS)
    }


def beside_raters(
    rated: Mapping[tuple[str, str], Sequence[bool]], teacher: Mapping[tuple[str, str], bool]
) -> list[RaterRow]:
    """The teacher beside each rater, on the pairs both know."""
    keys = [key for key in rated if key in teacher]
    if not keys:
        raise BadInput("raters: expected pairs that the teacher judged, found none")
    told = np.array([teacher[key] for key in keys])
    labels = np.array([rated[key] for key in keys]).T
    rows = []
    for at, name in enumerate(RATERS):
        others = [agreement(labels[at], labels[o]) for o in range(len(RATERS)) if o != at]
        mean = Agreement(
            float(np.mean([a.accuracy for a in others])), float(np.mean([a.kappa for a in others]))
        )
        rows.append(RaterRow(name, len(keys), agreement(labels[at], told), mean))
    return rows
