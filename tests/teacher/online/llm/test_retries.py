"""Retries and circuit breakers by the clock."""

import pickle
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput
from teacher.online.llm.breaker import CircuitBreaker, State
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.retries import Retries, counts, read_retry_after

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@given(st.integers(1, 10_000), st.integers())
def test_waits_are_jittered_and_bounded(failures: int, seed: int) -> None:
    """Never longer than the bound, which grows and stops growing."""
    retries = Retries(first_wait_s=0.5, longest_wait_s=30)

    wait = retries.wait_s(failures, random.Random(seed))

    assert 0 <= wait <= min(30, 0.5 * 2 ** min(failures - 1, 20))


@given(st.sampled_from(FaultKind), st.integers(0, 9), st.floats(0, 2000))
def test_only_what_may_get_better_is_tried_again(
    kind: FaultKind, counted: int, elapsed: float
) -> None:
    """Attempts bound what was counted, patience what is waited for; the rest is never retried."""
    fault = EndpointFault("x", kind=kind)

    again = Retries(attempts=4, patience_s=900).may_retry(fault, counted=counted, elapsed_s=elapsed)

    if kind in (FaultKind.REFUSED, FaultKind.DENIED):
        assert not again
    elif counts(fault):
        assert again == (counted < 4)
    else:
        assert again == (elapsed < 900)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Tue, 01 Jan 2030 00:00:30 GMT", 30.0),
        ("Tue, 01 Jan 2019 00:00:30 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    """Both forms of RFC 9110, and nothing else."""
    assert read_retry_after(header, now=NOW) == seconds


def test_a_fault_survives_the_way_between_processes() -> None:
    """Kind, wait and words come back."""
    back = pickle.loads(pickle.dumps(EndpointFault("gone", kind=FaultKind.BUSY, retry_after=3.0)))

    assert (str(back), back.kind, back.retry_after) == ("gone", FaultKind.BUSY, 3.0)


def test_senseless_limits_are_refused() -> None:
    """No attempt at all is no client."""
    with pytest.raises(BadInput, match="attempts >= 1"):
        Retries(attempts=0)


def test_a_breaker_opens_rests_longer_each_time_and_closes() -> None:
    """Failures in a row open it; one request tries after each rest; one success closes it."""
    now = [0.0]
    breaker = CircuitBreaker(failures=2, rest_s=5, longest_rest_s=12, clock=lambda: now[0])

    breaker.failed()
    assert breaker.ready_in_s() == 0
    breaker.failed()
    rests = []
    for _ in range(3):
        rests.append(breaker.ready_in_s())
        now[0] += rests[-1]
        assert breaker.ready_in_s() == 0
        breaker.enter()
        assert breaker.ready_in_s() == float("inf")
        breaker.failed()

    assert rests == [5, 10, 12]
    now[0] += 12
    breaker.enter()
    breaker.succeeded()
    assert breaker.state is State.CLOSED
    breaker.failed()
    assert breaker.ready_in_s() == 0


def test_a_cancelled_try_lets_the_next_one_try() -> None:
    """Nobody waits for a request that will never come back."""
    breaker = CircuitBreaker(failures=1, rest_s=0)
    breaker.failed()

    breaker.enter()
    breaker.left()

    assert breaker.ready_in_s() == 0
    assert breaker.state is State.OPEN
