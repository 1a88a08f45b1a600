"""The client against a real server that is fine, slow, down, wrong, busy or dying."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

import pytest

from relevance.domain import Item
from relevance.errors import BadInput, Unavailable
from teacher.online.llm.breaker import State
from teacher.online.llm.client import LanguageModel, Patience
from teacher.online.llm.endpoints import DEFAULT_ENDPOINTS, Endpoint, read_endpoints
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.prompt import Mode, prompt
from teacher.online.llm.retries import ONCE, Retries
from teacher.online.llm.wire import Ask, Completion, Sampling
from tests.teacher.recorded_endpoint import Behaviour, RecordedServer, full_answer, recorded_server

MESSAGES = prompt("red bottle", Item("1", "Red Bottle"), mode=Mode.COT)
ASK = Ask(MESSAGES)
QUICK = Retries(attempts=3, patience_s=5.0, first_wait_s=0.001, longest_wait_s=0.01)
NOWHERE = Endpoint("http://127.0.0.1:9/v1", "gone")  # the discard port: nobody listens

Answer = TypeVar("Answer")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def at(*servers: RecordedServer) -> list[Endpoint]:
    return [Endpoint(server.url, "recorded") for server in servers]


def ask(
    endpoints: list[Endpoint],
    use: Callable[[LanguageModel], Coroutine[Any, Any, Answer]],
    *,
    clock: Clock | None = None,
    **patience: Any,
) -> Answer:
    """What `use` gets of a model at these endpoints."""

    async def run() -> Answer:
        settings = Patience(**{"retries": QUICK, "timeout_s": 5.0, **patience})
        own: dict[str, Any] = {} if clock is None else {"clock": clock, "sleep": clock.sleep}
        async with LanguageModel(endpoints, patience=settings, **own) as model:
            return await use(model)

    return asyncio.run(run())


async def one(model: LanguageModel) -> Completion:
    return await model.complete(ASK)


@contextmanager
def failing(*faults: str, always: str = "", **more: Any) -> Iterator[RecordedServer]:
    with recorded_server(Behaviour(faults=list(faults), always=always, **more)) as server:
        yield server


def test_an_answer_comes_with_what_it_cost() -> None:
    """Texts, tokens, and as many samples as asked for."""
    with recorded_server() as server:
        reply = ask(at(server), lambda m: m.complete(Ask(MESSAGES, Sampling(samples=3))))

    assert [c.text for c in reply.choices] == [full_answer(list(MESSAGES), n) for n in range(3)]
    assert reply.usage.prompt > 100
    assert reply.usage.completion > 30
    assert not any(c.truncated for c in reply.choices)


@pytest.mark.parametrize("fault", ["garbage", "empty", "dies", "500"])
def test_what_fails_by_the_endpoint_s_fault_is_asked_again(fault: str) -> None:
    """A broken, dying or nonsensical answer costs a second request and nothing else."""
    with failing(fault) as server:
        reply = ask(at(server), one)

        assert reply.text == full_answer(list(MESSAGES))
        assert server.behaviour.seen["/v1/chat/completions"] == 2


def test_a_slow_endpoint_times_out_and_is_asked_again() -> None:
    """Silence beyond the timeout is a fault like any other."""
    with failing("slow") as server:
        reply = ask(at(server), one, timeout_s=0.2)

    assert reply.text == full_answer(list(MESSAGES))


@pytest.mark.parametrize(
    ("fault", "kind"), [("garbage", FaultKind.GARBAGE), ("500", FaultKind.BROKEN)]
)
def test_a_request_that_always_fails_ends(fault: str, kind: FaultKind) -> None:
    """As many attempts as allowed, then the fault."""
    with failing(always=fault) as server:
        with pytest.raises(EndpointFault) as caught:
            ask(at(server), one, failures=100)

        assert caught.value.kind is kind
        assert server.behaviour.seen["/v1/chat/completions"] == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "kind"), [("400", FaultKind.REFUSED), ("401", FaultKind.DENIED)]
)
def test_what_will_always_be_refused_is_asked_once(status: str, kind: FaultKind) -> None:
    """No retry could help, and the message shows what the server said."""
    with failing(always=status) as server:
        with pytest.raises(EndpointFault, match=f"status {status}") as caught:
            ask(at(server), one)

        assert caught.value.kind is kind
        assert server.behaviour.seen["/v1/chat/completions"] == 1


def test_retry_after_is_honoured() -> None:
    """A busy endpoint is left alone for as long as it asks."""
    clock = Clock()
    with failing("429", "429", retry_after="7") as server:
        reply = ask(at(server), one, clock=clock, retries=Retries(attempts=1, patience_s=60))

    assert reply.text == full_answer(list(MESSAGES))
    assert clock.now >= 14


def test_an_endpoint_that_stays_busy_is_waited_for_only_so_long() -> None:
    """Patience ends; until then a busy endpoint costs no attempts."""
    clock = Clock()
    with failing(always="503", retry_after="5") as server:
        with pytest.raises(EndpointFault):
            ask(at(server), one, clock=clock, retries=Retries(attempts=1, patience_s=30))

        assert server.behaviour.seen["/v1/chat/completions"] >= 5
    assert 25 <= clock.now <= 40


def test_nobody_listening_is_unavailable() -> None:
    """The exception is one of the project's, with the address."""
    with pytest.raises(Unavailable, match="127.0.0.1:9"):
        ask([NOWHERE], one, retries=ONCE)


def test_a_dead_endpoint_gets_no_more_requests_once_its_circuit_is_open() -> None:
    """The living one answers everything."""

    async def many(model: LanguageModel) -> tuple[list[int], State]:
        replies = [await model.complete(ASK) for _ in range(12)]
        return [r.endpoint for r in replies], model.connections[0].breaker.state

    with recorded_server() as server:
        served, state = ask([NOWHERE, *at(server)], many, failures=1, rest_s=60.0)

    assert set(served) == {1}
    assert state is State.OPEN


def test_an_endpoint_that_recovers_is_used_again() -> None:
    """After its rest one request tries, and then all may."""
    clock = Clock()

    async def many(model: LanguageModel) -> State:
        for _ in range(3):
            await model.complete(ASK)
        return model.connections[0].breaker.state

    with failing("500", "500", "500") as server:
        slow = Retries(attempts=9, patience_s=500)
        state = ask(at(server), many, clock=clock, failures=2, rest_s=20.0, retries=slow)

    assert state is State.CLOSED
    assert clock.now >= 20


def test_who_fails_fast_does_not_swallow_every_retry() -> None:
    """A request that an endpoint failed goes to another one next."""

    async def many(model: LanguageModel) -> list[int]:
        replies = await asyncio.gather(*(model.complete(ASK) for _ in range(8)))
        return [r.endpoint for r in replies]

    with failing(always="500") as broken, recorded_server(Behaviour(delay_s=0.02)) as well:
        two = Retries(attempts=2, patience_s=5.0, first_wait_s=0.001)
        assert set(ask(at(broken, well), many, retries=two, failures=100)) == {1}


def test_requests_go_to_the_least_busy_endpoint() -> None:
    """Both work, neither more than the other."""

    async def many(model: LanguageModel) -> list[int]:
        replies = await asyncio.gather(*(model.complete(ASK) for _ in range(20)))
        return [r.endpoint for r in replies]

    with recorded_server(Behaviour(delay_s=0.05)) as one, recorded_server() as other:
        one.behaviour.delay_s = other.behaviour.delay_s = 0.05
        served = ask(at(one, other), many)

    assert 8 <= served.count(0) <= 12


def test_a_follow_up_prefers_who_has_the_beginning_in_its_cache() -> None:
    """The preference holds while that endpoint is well."""

    async def follow(model: LanguageModel) -> list[int]:
        return [(await model.complete(ASK, prefer=1)).endpoint for _ in range(4)]

    with recorded_server() as one, recorded_server() as other:
        assert ask(at(one, other), follow) == [1] * 4


def test_a_stream_says_what_the_whole_answer_says() -> None:
    """Pieces as they come add up to the text."""

    async def pieces(model: LanguageModel) -> list[str]:
        return [piece async for piece in model.stream(ASK)]

    with recorded_server() as server:
        found = ask(at(server), pieces)

    assert len(found) > 5
    assert "".join(found) == full_answer(list(MESSAGES))


def test_a_stream_can_be_left_in_the_middle() -> None:
    """Closing it cancels the request: nothing is outstanding, and the endpoint is well."""

    async def leave(model: LanguageModel) -> tuple[int, State]:
        async with aclosing(model.stream(ASK)) as pieces:
            async for _ in pieces:
                break
        return model.connections[0].outstanding, model.connections[0].breaker.state

    with recorded_server() as server:
        assert ask(at(server), leave) == (0, State.CLOSED)


@pytest.mark.parametrize("fault", ["dies", "garbage", "500"])
def test_a_stream_that_breaks_says_so(fault: str) -> None:
    """A text that ends early is never taken for a whole one."""

    async def pieces(model: LanguageModel) -> list[str]:
        return [piece async for piece in model.stream(ASK)]

    with failing(always=fault) as server, pytest.raises(EndpointFault) as caught:
        ask(at(server), pieces)

    assert caught.value.kind is FaultKind.BROKEN


def test_the_server_is_asked_for_its_model() -> None:
    """A URL alone is enough."""
    with recorded_server(Behaviour(model="tuned-7b")) as server:
        assert ask([Endpoint(server.url)], lambda m: m.served_model()) == "tuned-7b"


def test_endpoints_are_read_by_model() -> None:
    """Several addresses of a model, several models, and the paper's two by default."""
    found = read_endpoints(["a=http://x:1/v1,http://y:2", "b=https://z"], key="secret")

    assert [e.url for e in found["a"]] == ["http://x:1/v1", "http://y:2/v1"]
    assert found["b"][0].root == "https://z"
    assert "secret" not in repr(found)
    assert list(read_endpoints(["http://x:1"])) == [""]
    assert [name.partition("/")[2] for name in read_endpoints(DEFAULT_ENDPOINTS)] == [
        "Qwen2-72B-Instruct",
        "Meta-Llama-3-70B-Instruct",
    ]


@pytest.mark.parametrize("spec", ["", "m=", "ftp://x", "x:8000", "http://", "m=http://a,"])
def test_what_is_no_address_is_refused(spec: str) -> None:
    """The message shows what was given."""
    with pytest.raises(BadInput, match="http://host:port/v1"):
        read_endpoints([spec])


def test_a_key_travels_in_the_header_and_nowhere_else() -> None:
    """The body and the fault's message never hold it."""
    with failing(always="401") as server, pytest.raises(EndpointFault) as caught:
        ask([Endpoint(server.url, "m", "sesame")], one)

    assert "sesame" not in str(caught.value)
    assert "sesame" not in str(server.behaviour.chats)
