"""The committed probe, the runtime's answer to it, and graphs opened as it advises."""

import numpy as np

from exporter.bundle_scoring import open_session
from relevance.integer_products import INPUTS, LARGEST_STEP, LARGEST_WEIGHT, PROBE
from tests.exporter.make_probe import probe


def test_the_committed_probe_is_the_one_that_is_described():
    assert PROBE.read_bytes() == probe().SerializeToString()


def test_an_opened_graph_adds_the_largest_products_exactly():
    steps = np.full((5, INPUTS), LARGEST_STEP, np.uint8)

    (sums,) = open_session(PROBE).run(["sums"], {"steps": steps})

    assert (sums == INPUTS * LARGEST_STEP * LARGEST_WEIGHT).all()
