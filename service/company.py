"""Texts that share a run of an encoder's graph, where that changes no bit of any of them.

A run reads all weights once, so texts in company are quicker. That is for graphs whose texts cannot
see each other: float32, or 8 bits with fixed ranges. Whether this processor's kernels keep to it is
tried before. `int8_dynamic` takes its ranges from all that is in a run; `fp16` is for devices.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int64

from relevance.bundle import Precision

MAY_SHARE = frozenset({Precision.FP32, Precision.INT8_STATIC})
MOST_TEXTS = 8  # a run; more gain nothing (docs/log.md)
TRIED_LENGTHS = (3, 8, 21)  # positions; kernels differ with the shapes they are given
TRIED_TEXTS = (2, 3, MOST_TEXTS)

RunGraph = Callable[
    [Int64[np.ndarray, "texts positions"]], Float32[np.ndarray, "texts positions dim"]
]


def runs_of(lengths: Sequence[int], *, at_most: int = MOST_TEXTS) -> Iterator[list[int]]:
    """The places of texts of one length, some at a time, so that none is padded."""
    by_length: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        by_length.setdefault(length, []).append(place)
    for places in by_length.values():
        for start in range(0, len(places), at_most):
            yield places[start : start + at_most]


def keeps_texts_apart(run: RunGraph, *, vocabulary: int, longest: int) -> bool:
    """Whether texts of random tokens, up to `longest`, get the same bits alone and in company."""
    random = np.random.default_rng(0)
    for length in sorted({longest, *(some for some in TRIED_LENGTHS if some < longest)}):
        ids = random.integers(vocabulary, size=(MOST_TEXTS, length))
        alone = [run(ids[at : at + 1])[0].tobytes() for at in range(MOST_TEXTS)]
        for texts in TRIED_TEXTS:
            if [one.tobytes() for one in run(ids[:texts])] != alone[:texts]:
                return False
    return True
