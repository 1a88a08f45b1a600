import asyncio
import threading

import pytest
from anyio import CapacityLimiter

from service.experiments.turn import Abandoned, Turn, in_time
from tests.service.experiments.conftest import eventually


def test_work_that_ends_in_time_is_done_once() -> None:
    turn, done = Turn(0.005), []

    def work() -> str:
        turn.begin(60)
        done.append(threading.get_ident())
        turn.end()
        return "reply"

    assert asyncio.run(in_time(work, limiter=CapacityLimiter(1), turn=turn)) == "reply"
    assert len(done) == 1
    assert done != [threading.get_ident()]


def test_work_without_a_variant_takes_as_long_as_it_takes() -> None:
    """The loop looks every millisecond and finds nothing to be late."""
    turn, end = Turn(0.001), threading.Event()

    async def run() -> str:
        asyncio.get_running_loop().call_later(0.05, end.set)
        return await in_time(lambda: str(end.wait(60)), limiter=CapacityLimiter(1), turn=turn)

    assert asyncio.run(run()) == "True"
    assert not turn.is_late


def test_late_work_is_left_behind_begun_again_and_gives_its_place_back() -> None:
    """One place in all: the second try gets it while the first still hangs."""
    turn, end, found = Turn(0.005), threading.Event(), []

    def work() -> str:
        if turn.is_late:
            return "by control"
        turn.begin(0.01)
        end.wait(60)
        try:
            turn.end()
        except Abandoned:
            found.append("abandoned")
            raise
        return "by the variant"

    async def run() -> str:
        reply = await in_time(work, limiter=CapacityLimiter(1), turn=turn)
        end.set()
        return reply

    assert asyncio.run(run()) == "by control"
    eventually(lambda: found == ["abandoned"])


def test_a_fault_in_time_is_raised() -> None:
    turn = Turn(0.005)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_time(lambda: 1 / 0, limiter=CapacityLimiter(1), turn=turn))


def test_whoever_comes_first_to_the_end_decides() -> None:
    now = [0.0]
    turn = Turn(1.0, clock=lambda: now[0])
    turn.begin(5)
    now[0] = 4.9
    assert not turn.declare_late()
    turn.end()
    now[0] = 100.0
    assert not turn.declare_late()
    assert turn.seconds_left() == float("inf")

    turn.begin(5)
    now[0] = 105.0
    assert turn.declare_late()
    with pytest.raises(Abandoned):
        turn.end()
