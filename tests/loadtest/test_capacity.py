from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.capacity import find_capacity, fit_costs
from loadtest.curves import capacity_plot, capacity_table
from loadtest.figures import svg
from loadtest.slo import Slo
from tests.loadtest.make_stretches import make_stretch

SLO = Slo(p99_ms=10.0)


def service_that_holds(limit: float):
    """A service whose p99 leaves the SLO just above a rate."""
    return lambda rate: make_stretch(per_second=rate, p99=5.0 if rate <= limit else 50.0)


@given(limit=st.floats(1.0, 5000.0), first=st.floats(1.0, 400.0))
@settings(max_examples=60)
def test_the_highest_rate_that_holds_is_found_within_the_last_gap(limit, first) -> None:
    search = find_capacity(service_that_holds(limit), SLO, first=first, steps=5, say=str)

    if search.best is None:
        assert limit < first / 32
    else:
        assert search.best.per_second <= limit < search.best.per_second * 2 ** (1 / 32) * 1.001


def test_a_service_that_never_holds_has_no_capacity_and_the_search_ends() -> None:
    search = find_capacity(service_that_holds(0.0), SLO, first=64.0, steps=5, say=str)

    assert search.best is None
    assert "Highest rate with p99 at most 10 ms: none" in capacity_table(search, SLO)


def test_every_rate_tried_is_in_table_and_curve_and_client_limited_ones_are_marked() -> None:
    def measure(rate: float):
        return make_stretch(
            per_second=rate, p99=5.0 if rate < 40 else 50.0, client_limited=rate > 20
        )

    search = find_capacity(measure, SLO, first=10.0, steps=1, say=str)
    table = capacity_table(search, SLO)

    assert len(table.splitlines()) == len(search.tried) + 4
    assert table.count("holds (client-limited)") >= 1
    assert table.count("does not hold (client-limited)") >= 1
    assert "client-limited from here" in svg(capacity_plot(search, SLO, "100"))


@given(fixed=st.floats(0.1, 20), slope_us=st.floats(0.01, 20))
def test_costs_on_a_line_are_found_again(fixed: float, slope_us: float) -> None:
    measured = [(n, fixed + slope_us * n / 1000) for n in (100, 1000, 5000)]

    costs = fit_costs(measured)

    assert costs.fixed_ms == pytest.approx(fixed, rel=1e-6)
    assert costs.candidate_us == pytest.approx(slope_us, rel=1e-6)


def test_a_rate_that_the_service_does_not_keep_up_with_is_not_held_by_a_kind_slo() -> None:
    def measure(rate: float):
        stretch = make_stretch(per_second=rate, refused=50)
        return replace(stretch, seconds=stretch.seconds * max(1.0, rate / 300))

    kind = Slo(p99_ms=1e9, refused=1.0)

    search = find_capacity(measure, kind, first=10.0, steps=4, say=str)

    assert search.best is not None
    assert search.best.per_second == pytest.approx(300 / 0.8, rel=0.06)
