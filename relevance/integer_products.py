"""Whether a runtime's kernels add products of 8-bit numbers exactly on this processor: one look.

A CPU with AVX2 and nothing newer adds pairs of such products in 16 bits and saturates. ONNX Runtime
has a setting against it, `ADD_EXACTLY`, which shifts weights to unsigned numbers; where the CPU has
instructions for 8-bit products (VNNI), it makes a query's encoding take one and a half times as
long and changes no bit. So whoever opens a graph asks first, by the largest products there are.

The asking is here, because exporter and service must open graphs alike; opening is theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

ADD_EXACTLY = "session.x64quantprecision"
PROBE = Path(__file__).with_name("integer_products.onnx")
INPUTS, OUTPUTS = 64, 32  # of the probe's weight, all of it `LARGEST_WEIGHT`
LARGEST_WEIGHT, LARGEST_STEP = 127, 255
TOKENS = (1, 3, 16)  # kernels differ by how many rows they take at a time


class OpenProbe(Protocol):
    """The part of an open ONNX graph that is used here."""

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, np.ndarray], /
    ) -> Sequence[np.ndarray]:
        """The outputs' values."""
        ...


def saturates(opened: Callable[[Path], OpenProbe]) -> bool:
    """Whether `opened`'s runtime needs `ADD_EXACTLY`; it must open the probe without it.

    The probe: steps uint8 (tokens, INPUTS) times a constant int8 weight (INPUTS, OUTPUTS) → int32.
    """
    probe = opened(PROBE)
    exact = INPUTS * LARGEST_WEIGHT * LARGEST_STEP
    for tokens in TOKENS:
        steps = np.full((tokens, INPUTS), LARGEST_STEP, np.uint8)
        (sums,) = probe.run(["sums"], {"steps": steps})
        if not (sums == exact).all():
            return True
    return False
