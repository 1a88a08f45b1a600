import math

from hypothesis import given
from hypothesis import strategies as st

from service.deadline import Deadline
from service.fakes import TickingClock

TIMES = st.floats(0, 1e6)


@given(since=TIMES, milliseconds=st.floats(0.001, 60_000), now=TIMES)
def test_it_counts_from_the_arrival(since, milliseconds, now) -> None:
    deadline = Deadline.after(milliseconds, since=since, clock=lambda: now)

    assert deadline.has_passed() == (now >= since + milliseconds / 1000)
    assert deadline.seconds_left() == max(since + milliseconds / 1000 - now, 0)


def test_nobody_set_one_nobody_looks_at_the_clock() -> None:
    clock = TickingClock()
    never = Deadline.after(None, since=0.0, clock=clock)

    assert not never.has_passed()
    assert clock.now == 0
    assert never.seconds_left() == math.inf
