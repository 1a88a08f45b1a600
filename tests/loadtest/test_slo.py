import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.open_loop import Answer
from loadtest.slo import Slo
from loadtest.stretch import Times
from tests.loadtest.make_stretches import make_stretch

SLO = Slo(p99_ms=10.0, p50_ms=5.0, refused=0.01)


def test_a_stretch_within_its_bounds_holds() -> None:
    assert SLO.held(make_stretch(p99=10.0, sent=100, refused=1))


@pytest.mark.parametrize(
    ("stretch", "fault"),
    [
        (make_stretch(p99=10.1), "p99 10.1 ms, expected at most 10 ms"),
        (make_stretch(failed=1), "share of failed requests 0.01, expected at most 0"),
        (make_stretch(refused=2), "share of refused requests 0.02, expected at most 0.01"),
        (make_stretch(answered=0), "no request was answered"),
        (make_stretch(p99=float("nan")), "p99 nan ms"),
    ],
)
def test_what_is_not_held_is_said(stretch, fault: str) -> None:
    assert not SLO.held(stretch)
    assert any(fault in told for told in SLO.faults(stretch))


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=50))
def test_times_are_quantiles_from_when_requests_were_due(spans: list[tuple[float, float]]) -> None:
    answers = [
        Answer(n, 1.0, 1.0 + late + took, 200, b"", sent=1.0 + late)
        for n, (late, took) in enumerate(spans)
    ]

    times = Times.of(answers)

    whole = [(late + took) * 1000 for late, took in spans]
    assert times.p99 == pytest.approx(float(np.quantile(whole, 0.99)), abs=1e-6)
    assert times.most == pytest.approx(max(whole), abs=1e-6)
    assert times.closed_p99 <= times.most + 1e-6
