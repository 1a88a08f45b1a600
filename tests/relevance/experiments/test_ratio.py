import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as students_t

from relevance.errors import BadInput
from relevance.experiments.ratio import Units, difference, ratio, two_sided

SEEDS = 400
RATE = 0.95
# Four standard errors of a share of 95 % among so many simulations.
REACH = 4 * math.sqrt(RATE * (1 - RATE) / SEEDS)


def clustered(random: np.random.Generator, *, clusters: int, rate: float, tag: str = "") -> Units:
    """Shoppers of very different activity, each with a click rate of its own around `rate`."""
    impressions = 1 + random.poisson(random.lognormal(1.0, 0.8, clusters))
    own = random.beta(4 * rate, 4 * (1 - rate), clusters)
    clicks = random.binomial(impressions, own)
    names = [f"{tag}{at}" for at in range(clusters)]
    return Units(clicks.astype(float), impressions.astype(float), names)


def test_intervals_of_a_rate_hold_the_truth_as_often_as_they_say() -> None:
    """400 simulated logs with a known rate of 12 %: 95 % of intervals hold it."""
    held = 0
    for stream in np.random.default_rng(1).spawn(SEEDS):
        found = ratio(clustered(stream, clusters=300, rate=0.12))
        held += found.low <= 0.12 <= found.high

    assert abs(held / SEEDS - RATE) <= REACH


@pytest.mark.parametrize("effect", [0.0, 0.02])
def test_intervals_of_a_difference_hold_the_truth_as_often_as_they_say(effect) -> None:
    held = wrong = 0
    for stream in np.random.default_rng(2).spawn(SEEDS):
        first = clustered(stream, clusters=300, rate=0.12, tag="a")
        second = clustered(stream, clusters=300, rate=0.12 + effect, tag="b")
        found = difference(first, second)
        held += found.low <= effect <= found.high
        wrong += (found.p_value < 0.05) != found.is_clear

    assert abs(held / SEEDS - RATE) <= REACH
    assert wrong <= SEEDS * 0.005  # interval and p-value may disagree only at the very edge


def test_intervals_that_ignore_clusters_hold_the_truth_too_rarely() -> None:
    """The check above can fail: every impression its own cluster covers far less than 95 %."""
    held = 0
    for stream in np.random.default_rng(1).spawn(SEEDS):
        units = clustered(stream, clusters=300, rate=0.12)
        shown = units.denominators.astype(int)
        clicks = [
            clicked
            for of_one, count in zip(units.numerators.astype(int), shown, strict=True)
            for clicked in [1.0] * of_one + [0.0] * (count - of_one)
        ]
        every = Units(
            np.array(clicks), np.ones(len(clicks)), [str(at) for at in range(len(clicks))]
        )
        found = ratio(every)
        held += found.low <= 0.12 <= found.high

    assert held / SEEDS < RATE - REACH


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.1, 5), st.sampled_from("abcdef")),
        min_size=8,
        max_size=40,
    )
)
def test_units_of_a_cluster_may_be_summed_beforehand(rows) -> None:
    """The estimate only sees what each cluster sums up to."""
    tops, bottoms = (np.array([row[0] * row[1] for row in rows]), np.array([r[1] for r in rows]))
    names = [row[2] for row in rows]
    each = ratio(Units(tops, bottoms, names))
    clusters = sorted(set(names))
    summed = [
        np.array([values[[n == c for n in names]].sum() for c in clusters])
        for values in (tops, bottoms)
    ]
    whole = ratio(Units(summed[0], summed[1], clusters))

    assert each.value == pytest.approx(whole.value)
    assert each.standard_error == pytest.approx(whole.standard_error)
    assert 0 <= each.value <= 1 + 1e-12
    if not math.isnan(each.low):
        assert 0 <= each.low <= each.value * (1 + 1e-9)
        assert each.value <= each.high * (1 + 1e-9) <= 1 + 1e-9


def test_what_both_variants_share_costs_the_difference_no_precision() -> None:
    """Paired clusters: the same units on both sides differ by exactly nothing."""
    units = clustered(np.random.default_rng(0), clusters=50, rate=0.5)

    found = difference(units, units)

    assert (found.value, found.standard_error) == (0.0, 0.0)
    assert ratio(units).standard_error > 0.01


def test_the_delta_method_agrees_with_a_cluster_bootstrap() -> None:
    from relevance.experiments.clicks import bootstrap_differences

    random = np.random.default_rng(5)
    first = clustered(random, clusters=600, rate=0.2, tag="a")
    second = clustered(random, clusters=500, rate=0.25, tag="b")

    drawn = bootstrap_differences(first, second, draws=2000, seed=0)

    found = difference(first, second)
    assert drawn.std() == pytest.approx(found.standard_error, rel=0.08)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert (low, high) == (
        pytest.approx(found.low, abs=0.15 * found.standard_error),
        pytest.approx(found.high, abs=0.15 * found.standard_error),
    )


@given(statistic=st.floats(-40, 40), freedom=st.floats(0.5, 5000))
def test_two_sided_p_values_are_those_of_student(statistic, freedom) -> None:
    expected = 2 * students_t.sf(abs(statistic), freedom)

    assert two_sided(statistic, freedom=freedom) == pytest.approx(expected, rel=1e-7, abs=1e-14)


@pytest.mark.parametrize(("numerator", "low", "high"), [(0.0, 0.0, 0.308), (1.0, 0.692, 1.0)])
def test_a_rate_of_nothing_or_everything_has_an_interval_all_the_same(numerator, low, high) -> None:
    """Ten of ten: the exact one-sided bound at 2.5 %."""
    found = ratio(Units(np.full(10, numerator), np.ones(10), list("abcdefghij")))

    assert (found.low, found.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_two_clusters_give_a_rate_and_no_interval() -> None:
    found = ratio(Units(np.array([1.0, 0.0]), np.ones(2), ["a", "b"]))

    assert found.value == 0.5
    assert math.isnan(found.low)


def test_nothing_has_no_rate() -> None:
    with pytest.raises(BadInput, match="at least one unit with weight"):
        ratio(Units(np.zeros(0), np.zeros(0), []))
