import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.open_loop import Answer
from loadtest.soak import Bounds, Pace, Sample, Soak, end_when_seen, growth, summed_up

CALM = Soak(
    seconds=1800.0,
    requests=1000,
    failed=0,
    refused=3,
    refreshes=20,
    swaps=8,
    p99_first=10.0,
    p99_last=12.0,
    growth_mb_an_hour=5.0,
    memory_mb=200.0,
    files_first=40,
    files_last=41,
)


@given(st.floats(-500, 500), st.floats(10, 1000))
def test_steady_growth_is_found_whatever_peaks_swaps_make(slope: float, memory: float) -> None:
    samples = [
        Sample(at, memory + slope * at / 3600 + (400 if at % 50 == 0 else 0), 40)
        for at in range(600)
    ]

    assert growth(samples) == pytest.approx(slope, abs=1e-6)


def test_the_ends_are_compared_and_failures_counted() -> None:
    answers = [
        Answer(n, n / 10, n / 10 + (0.02 if n > 15_000 else 0.01), 200, b"") for n in range(18_000)
    ]
    answers[7] = replace(answers[7], status=500)
    answers[8] = replace(answers[8], status=429)
    samples = [Sample(float(at), 200.0, 40 + at // 900) for at in range(1800)]

    soak = summed_up(answers, samples, started=0.0, done=(20, 8))

    assert (soak.failed, soak.refused, soak.refreshes, soak.swaps) == (1, 1, 20, 8)
    assert soak.p99_ratio == pytest.approx(2.0)
    assert (soak.files_first, soak.files_last) == (40, 41)


def test_a_calm_soak_holds() -> None:
    assert CALM.faults(Bounds()) == ()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"failed": 1}, "failed requests: 1"),
        ({"p99_last": 13.0}, "p99, last over first window: 1.3, expected at most 1.2"),
        ({"growth_mb_an_hour": 90.0}, "growth of memory"),
        ({"files_last": 90}, "more open files: 50"),
        ({"p99_last": float("nan")}, "p99, last over first window: nan"),
    ],
)
def test_what_grew_or_broke_is_said(changed, fault: str) -> None:
    assert any(fault in told for told in replace(CALM, **changed).faults(Bounds()))


@pytest.mark.parametrize(
    ("pace", "missing"),
    [
        (Pace(1.0, seconds=0.01, refresh_every=0.001, swap_every=0.001), 1),
        (Pace(1.0, seconds=0.01, refresh_every=0.001, swap_every=9.0), 0),
    ],
)
def test_a_soak_goes_on_until_it_has_seen_what_was_due(pace: Pace, missing: int) -> None:
    over, done = threading.Event(), [1, 1]
    done[missing] = 0
    waiting = threading.Thread(target=end_when_seen, args=(over, pace, done))

    waiting.start()

    assert not over.wait(0.2)
    done[missing] = 1
    assert over.wait(180)
    waiting.join()


def test_a_soak_too_short_for_any_change_ends_in_its_time() -> None:
    over = threading.Event()

    end_when_seen(over, Pace(1.0, seconds=0.01), [0, 0])

    assert over.is_set()
