import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from relevance.errors import BadInput, GateRefused
from relevance.experiments.sample_ratio import (
    REFUSED_BELOW,
    chi_square_tail,
    refuse_mismatch,
    sample_ratio,
)

EVEN = {"control": 0.5, "new": 0.5}


@given(statistic=st.floats(0, 400), freedom=st.integers(1, 40))
def test_the_tail_is_that_of_scipy(statistic, freedom) -> None:
    found = chi_square_tail(statistic, freedom=freedom)

    assert found == pytest.approx(chi2.sf(statistic, freedom), rel=1e-9, abs=1e-14)


def test_a_healthy_experiment_is_refused_as_rarely_as_said() -> None:
    """20,000 healthy experiments: refusals within four standard errors of 1 in 2,000."""
    random, experiments = np.random.default_rng(3), 20_000
    controls = random.binomial(10_000, 0.5, size=experiments).tolist()

    refused = sum(
        sample_ratio({"control": c, "new": 10_000 - c}, EVEN).is_mismatch for c in controls
    )

    expected = experiments * REFUSED_BELOW
    assert abs(refused - expected) < 4 * expected**0.5


def test_a_variant_that_loses_one_key_in_twenty_is_refused() -> None:
    lost = sample_ratio({"control": 50_000, "new": 47_500}, EVEN)

    with pytest.raises(GateRefused, match=r"expected about control 48,750, new 48,750 keys, got"):
        refuse_mismatch(lost)


def test_uneven_shares_are_no_mismatch() -> None:
    refuse_mismatch(sample_ratio({"control": 8_950, "new": 1_050}, {"control": 0.9, "new": 0.1}))


def test_a_variant_nobody_came_to_is_a_mismatch() -> None:
    assert sample_ratio({"control": 1_000}, EVEN).is_mismatch


def test_a_variant_the_plan_does_not_know_is_refused() -> None:
    with pytest.raises(BadInput, match="expected control, new, got `newer`"):
        sample_ratio({"control": 10, "newer": 9}, EVEN)
