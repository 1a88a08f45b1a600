"""Who adds 8-bit products exactly: kernels in NumPy that do, that do not, that do at times."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from relevance.integer_products import INPUTS, LARGEST_WEIGHT, OUTPUTS, PROBE, TOKENS, saturates


@dataclass
class Kernel:
    """Products with the probe's weight, added in pairs of `bits` for these numbers of rows."""

    bits: int
    rows: tuple[int, ...] = TOKENS

    def run(self, outputs, feed, /):
        (steps,) = feed.values()
        products = steps.astype(np.int64)[:, :, None] * np.full((INPUTS, OUTPUTS), LARGEST_WEIGHT)
        pairs = products.reshape(len(steps), INPUTS // 2, 2, OUTPUTS).sum(axis=2)
        if len(steps) in self.rows:
            limit = 1 << (self.bits - 1)
            pairs = pairs.clip(-limit, limit - 1)
        return [pairs.sum(axis=1).astype(np.int32)]


def opened_with(kernel: Kernel):
    def opened(path: Path) -> Kernel:
        assert path == PROBE
        return kernel

    return opened


def test_kernels_that_add_pairs_in_32_bits_are_exact():
    assert not saturates(opened_with(Kernel(32)))


def test_kernels_that_add_pairs_in_16_bits_saturate():
    assert saturates(opened_with(Kernel(16)))


@pytest.mark.parametrize("rows", TOKENS)
def test_one_kernel_of_several_that_saturates_is_found(rows):
    assert saturates(opened_with(Kernel(16, (rows,))))
