import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.fair_queue import FairQueue, Overloaded
from tests.service.conftest import UNHURRIED


def queue(*, slots: int = 1, waiting: int = 4, max_wait: float = 60.0) -> FairQueue:
    return FairQueue(slots=slots, waiting=waiting, max_wait=max_wait)


async def lined_up(fair: FairQueue, *clients: str) -> list[asyncio.Task[float]]:
    tasks = [asyncio.create_task(fair.enter(client)) for client in clients]
    await asyncio.sleep(0)
    return tasks


async def served(fair: FairQueue, tasks: list[asyncio.Task[float]]) -> list[int]:
    """The order in which the waiting ones get the only slot."""
    order: list[int] = []
    while len(order) < len(tasks):
        fair.leave(held=0.001)
        await asyncio.sleep(0)
        order += [at for at, task in enumerate(tasks) if task.done() and at not in order]
    return order


def run(work: Coroutine) -> object:
    return asyncio.run(work)


def test_free_slots_are_given_at_once_and_no_more_than_there_are() -> None:
    async def scenario() -> None:
        fair = queue(slots=2)

        assert [await fair.enter("a"), await fair.enter("a")] == [0.0, 0.0]
        (third,) = await lined_up(fair, "a")

        assert (fair.running, fair.depth, third.done()) == (2, 1, False)
        fair.leave(held=0.01)
        assert await third >= 0.0
        assert (fair.running, fair.depth) == (2, 0)

    run(scenario())


def test_clients_take_turns_however_many_requests_one_of_them_sends() -> None:
    async def scenario() -> None:
        fair = queue(waiting=8)
        await fair.enter("flood")
        tasks = await lined_up(fair, "flood", "flood", "flood", "quiet", "other")

        assert await served(fair, tasks) == [0, 3, 4, 1, 2]

    run(scenario())


def test_a_full_queue_turns_away_the_newest_request_of_whoever_has_most() -> None:
    async def scenario() -> None:
        fair = queue(waiting=3)
        await fair.enter("flood")
        tasks = await lined_up(fair, "flood", "flood", "flood")

        fair.check("quiet")  # may come in
        (quiet,) = await lined_up(fair, "quiet")

        with pytest.raises(Overloaded, match="full"):
            await tasks[2]
        with pytest.raises(Overloaded, match="full"):
            fair.check("flood")
        with pytest.raises(Overloaded, match="full"):
            await fair.enter("flood")
        assert fair.depth == 3
        assert not quiet.done()

    run(scenario())


def test_nobody_waits_longer_than_the_limit() -> None:
    async def scenario() -> None:
        fair = queue(max_wait=0.01)
        await fair.enter("a")

        with pytest.raises(Overloaded, match="waited"):
            await fair.enter("b")
        assert (fair.running, fair.depth) == (1, 0)

    run(scenario())


def test_without_a_queue_a_request_over_the_slots_is_refused_at_once() -> None:
    async def scenario() -> None:
        fair = queue(waiting=0)
        await fair.enter("a")

        with pytest.raises(Overloaded):
            fair.check("b")
        with pytest.raises(Overloaded):
            await fair.enter("b")

    run(scenario())


def test_how_long_to_stay_away_grows_with_the_queue_and_is_at_least_a_second() -> None:
    async def scenario() -> None:
        fair = queue(waiting=100)
        await fair.enter("a")
        assert fair.retry_after() == 1

        for _ in range(100):
            await fair.enter("b") if fair.running == 0 else None
            fair.leave(held=1.0)
        await fair.enter("a")
        tasks = await lined_up(fair, *"abcdefghi")

        assert 9 <= fair.retry_after() <= 11
        for task in tasks:
            task.cancel()

    run(scenario())


@UNHURRIED
@given(
    slots=st.integers(1, 3),
    waiting=st.integers(0, 5),
    acts=st.lists(st.tuples(st.sampled_from("ELC"), st.integers(0, 3)), max_size=40),
)
def test_slots_and_depth_add_up_whatever_comes_goes_or_gives_up(slots, waiting, acts) -> None:
    async def scenario() -> None:
        fair, tasks, held = FairQueue(slots=slots, waiting=waiting, max_wait=60), [], []
        for act, number in acts:
            if act == "E":
                tasks += await lined_up(fair, f"client {number}")
            elif act == "L" and held:
                held.pop()
                fair.leave(held=0.001)
            elif act == "C" and tasks:
                tasks[number % len(tasks)].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            entered = [task for task in tasks if task.done() and not task.cancelled()]
            held += [task for task in entered if task.exception() is None]
            tasks = [task for task in tasks if not task.done()]

            assert fair.running == len(held) <= slots
            assert fair.depth == len(tasks) <= waiting
            assert not tasks or fair.running == slots
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert fair.depth == 0

    run(scenario())
