"""Rate limits by the clock: single endpoints, many askers, and a model that is asked too fast."""

import asyncio
import heapq
import json
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.errors import BadInput
from teacher.judge_commands import patience_of
from teacher.online.llm.client import LanguageModel, Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.prompt import Mode, prompt
from teacher.online.llm.rate_limits import Pace, RateLimits
from teacher.online.llm.retries import Retries
from teacher.online.llm.wire import Ask

ASK = Ask(prompt("red bottle", Item("1", "Red Bottle"), mode=Mode.COT))
_TURNS = 30  # of the event loop, in which every task gets as far as it can


class Clock:
    """Time that many may sleep by at once: it moves on to whoever wakes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waking: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        heapq.heappush(self._waking, until)
        while self.now < until:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._waking[0] == until:
                self.now = max(self.now, until)
        self._waking.remove(until)
        heapq.heapify(self._waking)


class Server:
    """Answers inside the process and notes by the clock when it was asked, and where."""

    def __init__(self, clock: Clock, *, tokens: int = 100, busy: int = 0) -> None:
        self.clock = clock
        self.asked: dict[str, list[float]] = {}
        self._tokens = tokens
        self._busy = busy

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.setdefault(request.url.host, []).append(self.clock.now)
        if self._busy:
            self._busy -= 1
            return httpx.Response(429, headers={"retry-after": "20"})
        usage = {"prompt_tokens": self._tokens - 10, "completion_tokens": 10}
        choices = [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]
        return httpx.Response(200, content=json.dumps({"choices": choices, "usage": usage}))


def asked_at(
    server: Server,
    limits: RateLimits,
    *,
    requests: int,
    hosts: tuple[str, ...] = ("one",),
    **more: Any,
) -> dict[str, list[float]]:
    """When each host was asked, of so many requests made at once."""

    async def run() -> None:
        patience = Patience(limits=limits, **more)
        async with LanguageModel(
            [Endpoint(f"http://{host}/v1", "m") for host in hosts],
            patience=patience,
            transport=httpx.MockTransport(server),
            clock=server.clock,
            sleep=server.clock.sleep,
        ) as model:
            await asyncio.gather(*(model.complete(ASK) for _ in range(requests)))

    _in_loop(run())
    return server.asked


def _in_loop(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@given(st.integers(1, 600), st.lists(st.floats(0, 30), min_size=2, max_size=40))
def test_no_minute_holds_more_requests_than_allowed(a_minute: int, pauses: list[float]) -> None:
    """However requests come, any two of them with n between are n + 1 shares of a minute apart."""
    clock = Clock()
    pace = Pace(RateLimits(requests_per_minute=a_minute), clock=clock)

    went = []
    for pause in pauses:
        clock.now += max(pause, pace.ready_in_s())
        pace.enter()
        went.append(clock.now)

    for first, start in enumerate(went):
        for later, at in enumerate(went[first:]):
            assert at - start >= later * 60 / a_minute - 1e-6


@given(
    st.integers(100, 100_000),
    st.lists(st.tuples(st.integers(1, 5_000), st.floats(0, 5)), min_size=1, max_size=60),
)
def test_tokens_are_paid_off_before_the_next_request(
    a_minute: int, replies: list[tuple[int, float]]
) -> None:
    """One request at a time: what all before it cost has passed by when the next one goes out."""
    clock = Clock()
    pace = Pace(RateLimits(tokens_per_minute=a_minute), clock=clock)

    for place, (tokens, pause) in enumerate(replies):
        clock.now += max(pause, pace.ready_in_s())
        spent = sum(cost for cost, _ in replies[:place])
        assert clock.now >= spent * 60 / a_minute - 1e-6
        pace.told(tokens, expected=pace.enter())


def test_without_limits_nobody_waits() -> None:
    """All requests go out at once."""
    server = Server(Clock())

    asked = asked_at(server, RateLimits(), requests=20)

    assert asked["one"] == [0.0] * 20


def test_many_askers_keep_one_pace() -> None:
    """Twelve requests at once at twenty a minute: one every three seconds, none lost."""
    server = Server(Clock())

    asked = asked_at(server, RateLimits(requests_per_minute=20), requests=12)

    assert asked["one"] == pytest.approx([3.0 * n for n in range(12)], abs=1e-6)


def test_each_endpoint_has_its_own_limit() -> None:
    """Two of them answer twice as many."""
    server = Server(Clock())

    asked = asked_at(server, RateLimits(requests_per_minute=20), requests=12, hosts=("one", "two"))

    for times in asked.values():
        assert times == pytest.approx([3.0 * n for n in range(6)], abs=1e-6)
    assert len(asked) == 2


def test_tokens_set_the_pace_once_replies_tell_what_they_cost() -> None:
    """A hundred tokens a request at 1,200 a minute: one request every five seconds."""
    server = Server(Clock(), tokens=100)

    asked = asked_at(server, RateLimits(tokens_per_minute=1200), requests=12)

    times = asked["one"]
    assert len(times) == 12
    assert times[-1] - times[5] == pytest.approx(6 * 5.0, abs=1e-6)
    assert times[-1] >= 11 * 5.0 - 1e-6


def test_waiting_for_a_turn_does_not_use_up_patience() -> None:
    """The last request waits ten minutes with a patience of one."""
    server = Server(Clock())

    asked = asked_at(
        server,
        RateLimits(requests_per_minute=1),
        requests=11,
        retries=Retries(patience_s=60.0),
    )

    assert asked["one"][-1] == pytest.approx(600.0)


def test_what_a_busy_endpoint_asks_for_holds_beside_the_limit() -> None:
    """429 with `Retry-After: 20` is waited out although the limit would let requests through."""
    server = Server(Clock(), busy=1)

    asked = asked_at(server, RateLimits(requests_per_minute=60), requests=3)

    assert asked["one"][0] == 0.0
    assert min(asked["one"][1:]) >= 20.0
    assert len(asked["one"]) == 4


def test_many_clients_share_what_is_allowed() -> None:
    """Each of four workers takes a quarter."""
    assert RateLimits(120, 4000).shared_by(4) == RateLimits(30, 1000)


def test_a_negative_limit_is_refused() -> None:
    """With what was expected and what came."""
    with pytest.raises(BadInput, match="expected at least 0 a minute"):
        RateLimits(requests_per_minute=-1)


def test_the_command_s_limits_reach_every_worker() -> None:
    """`--requests-per-minute 120 --tokens-per-minute 600` over two Ray workers."""
    patience = patience_of(1.0, 2.0, (120.0, 600.0), clients=2)

    assert patience.limits == RateLimits(60.0, 300.0)
    assert (patience.timeout_s, patience.retries.patience_s) == (1.0, 2.0)
