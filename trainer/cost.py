"""What a student costs: parameters, and milliseconds per 1,000 pairs (the paper's Table 3).

Measured in torch, which is not how it is served: the service's own figures come from its bundle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from relevance.domain import Side
from relevance.records import Pair
from trainer.examples import TextTable
from trainer.scoring import BATCH_PAIRS, score_pairs, stacked
from trainer.students.devices import device_of
from trainer.students.embedding import encode_texts
from trainer.students.precision import mixed_precision
from trainer.students.student import RepresentationStudent, Student
from trainer.students.texts import TokenisedText

REPEATS = 3  # the median of so many


@dataclass(frozen=True, slots=True)
class Cost:
    """`cached_ms` is per 1,000 pairs with the items encoded before; None where that cannot be.

    `training_ms` is per 1,000 pairs learned from, None where it was not measured.
    """

    parameters: int
    ms: float
    cached_ms: float | None
    training_ms: float | None
    device: str


def measure_cost(
    student: Student,
    pairs: Sequence[Pair],
    texts: TextTable,
    *,
    training_ms: float | None = None,
    repeats: int = REPEATS,
) -> Cost:
    """Time scoring of these pairs, each of its own query and item as online."""
    per_thousand = 1000 / len(pairs)
    whole = _median(lambda: score_pairs(student, pairs, texts), repeats)
    cached = None
    if isinstance(student, RepresentationStudent):
        items = _encoded(student, [texts.items[pair.item_id] for pair in pairs], Side.TITLE)
        queries = [texts.queries[pair.query] for pair in pairs]
        cached = _median(lambda: _meet(student, queries, items), repeats)
    return Cost(
        parameters=sum(parameter.numel() for parameter in student.parameters()),
        ms=whole * per_thousand,
        cached_ms=None if cached is None else cached * per_thousand,
        training_ms=training_ms,
        device=str(device_of(student)),
    )


@torch.inference_mode()
def _meet(
    student: RepresentationStudent,
    queries: Sequence[TokenisedText],
    items: Sequence[torch.Tensor],
) -> None:
    encoded = _encoded(student, queries, Side.QUERY)
    for start in range(0, len(encoded), BATCH_PAIRS):
        end = start + BATCH_PAIRS
        student.meet(stacked(encoded[start:end]), stacked(items[start:end])).cpu()


def _encoded(
    student: RepresentationStudent, texts: Sequence[TokenisedText], side: Side
) -> list[torch.Tensor]:
    with mixed_precision(device_of(student)):
        return encode_texts(student, texts, side)


def _median(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds."""
    seconds = []
    for _ in range(repeats):
        started = perf_counter()
        work()
        seconds.append(perf_counter() - started)
    return 1000 * float(np.median(seconds))
