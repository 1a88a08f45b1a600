"""Thresholds by brute force; the measures of a card against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.thresholds import (
    FEWEST_SHOWN,
    STATED_PRECISIONS,
    bundle_measures,
    error_interval,
    precision_above,
    stated_thresholds,
)
from relevance.metrics import calibration_error, roc_auc


def make_labels(seed: int, pairs: int = 400, *, shades: int = 40):
    random = np.random.default_rng(seed)
    probabilities = random.integers(0, shades, pairs) / shades
    return random.random(pairs) < probabilities, probabilities


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 300), st.sampled_from([3, 40, 10**6]))
def test_each_threshold_is_the_least_that_reaches_its_precision(seed, pairs, shades):
    good, probabilities = make_labels(seed, pairs, shades=shades)

    found = {stated.precision: stated for stated in stated_thresholds(good, probabilities)}

    for precision in STATED_PRECISIONS:
        reaching = [
            cut
            for cut in np.unique(probabilities)
            if (probabilities >= cut).sum() >= FEWEST_SHOWN
            and precision_above(good, probabilities, cut) >= precision
        ]
        assert (precision in found) == bool(reaching)
        if reaching:
            stated = found[precision]
            above = probabilities >= stated.probability
            assert stated.probability == min(reaching)
            assert stated.reached == pytest.approx(good[above].mean())
            assert stated.recall == pytest.approx(good[above].sum() / max(1, good.sum()))


def test_a_precision_of_too_few_pairs_is_not_offered():
    probabilities = np.linspace(0, 1, 200)
    good = probabilities > 0.9  # the top 20 alone are Good

    assert [s.precision for s in stated_thresholds(good, probabilities)] == [0.6]


def test_measures_are_those_of_their_definitions_and_the_interval_holds_the_error():
    good, probabilities = make_labels(3)
    queries = [f"{'long red oak' if at % 2 else ''} q{at // 4}".strip() for at in range(len(good))]

    found = bundle_measures(good, probabilities, queries, threshold=0.5)

    long = np.arange(len(good)) % 2 == 1
    assert found["roc_auc"] == roc_auc(good, probabilities)
    assert found["calibration_error"] == calibration_error(good, probabilities)
    assert found["calibration_error_high"] > found["calibration_error"]
    assert found["precision_long_queries"] == precision_above(good[long], probabilities[long], 0.5)
    apart = found["precision_long_queries"] - found["precision_short_queries"]
    assert found["precision_points_apart"] == pytest.approx(100 * abs(apart))


def test_what_is_undefined_is_left_out():
    good = np.ones(40, bool)
    found = bundle_measures(good, np.full(40, 0.2), ["q"] * 40, threshold=0.5)

    assert not {"roc_auc", "precision", "precision_points_apart"} & found.keys()
    assert found["share_bad"] == 0


def test_more_queries_narrow_the_interval():
    good, probabilities = make_labels(5, 1200)

    few = error_interval(good, probabilities, [f"q{at % 8}" for at in range(1200)])
    many = error_interval(good, probabilities, [f"q{at}" for at in range(1200)])

    assert few.value == many.value
    assert few.high - few.low > 0
    assert many.high - many.low > 0
