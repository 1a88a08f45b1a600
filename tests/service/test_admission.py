import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from service.admission import Admission, Gate, Queues
from service.api_keys import KeyRing
from service.fair_queue import FairQueue
from service.rate_limits import RateLimits


@dataclass
class Heard:
    """An `AdmissionObserver` that remembers."""

    clients: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def client(self, name: str) -> None:
        self.clients.append(name)

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def refused(self, code: str) -> None:
        self.codes.append(code)


@dataclass
class Route:
    """What stands behind admission: answers when let go, and knows who is inside."""

    inside: int = 0
    most: int = 0
    bodies: list[bytes] = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope, receive, send) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if scope["method"] == "POST":
            message = await receive()
            self.bodies.append(message["body"])
        await self.let_go.wait()
        self.inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})


@dataclass
class Asked:
    """One request's reply."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    reads: int = 0

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


def admission(
    route: Route,
    heard: Heard | None = None,
    *,
    slots: int = 1,
    waiting: int = 0,
    rates: str = "",
    wrong: str | None = None,
    body_timeout: float = 5.0,
) -> Admission:
    lifecycle = SimpleNamespace(
        keys=KeyRing(None),
        rates=RateLimits(rates),
        check=SimpleNamespace(is_wrong=wrong is not None, fault=wrong),
        settings=SimpleNamespace(rate_limit=rates),
    )
    queues = Queues(
        FairQueue(slots=slots, waiting=waiting, max_wait=60),
        FairQueue(slots=1, waiting=0, max_wait=60),
    )
    gate = Gate(lifecycle, queues)
    return Admission(route, gate=lambda: gate, body_timeout=body_timeout, observe=heard or Heard())


async def ask(
    app: Callable,
    path: str = "/score",
    *,
    method: str = "POST",
    body: tuple[bytes, ...] = (b"{}",),
    client: str = "10.0.0.1",
    hangs: bool = False,
    hangs_up: bool = False,
) -> Asked:
    asked, parts = Asked(), list(body)

    async def receive():
        asked.reads += 1
        if not parts and hangs_up:
            return {"type": "http.disconnect"}
        if not parts:
            await asyncio.Event().wait()
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts) or hangs or hangs_up}

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            asked.status, asked.headers = message["status"], dict(message["headers"])
        else:
            asked.body += message["body"]

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [],
        "client": (client, 1),
        "state": {},
    }
    await app(scope, receive, send)
    return asked


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_whole_body_is_there_before_the_route_runs() -> None:
    async def scenario() -> None:
        route = Route()
        route.let_go.set()

        reply = await ask(admission(route), body=(b'{"query"', b": 1", b"}"))

        assert reply.status == 200
        assert route.bodies == [b'{"query": 1}']

    asyncio.run(scenario())


def test_no_more_requests_compute_than_there_are_places_and_the_others_wait() -> None:
    async def scenario() -> None:
        route, heard = Route(), Heard()
        app = admission(route, heard, slots=2, waiting=8)
        asked = [asyncio.create_task(ask(app, client=f"10.0.0.{at}")) for at in range(6)]
        await settle()
        assert route.inside == 2

        route.let_go.set()
        replies = await asyncio.gather(*asked)

        assert [reply.status for reply in replies] == [200] * 6
        assert route.most == 2
        assert len(heard.waits) == 6

    asyncio.run(scenario())


def test_when_all_places_and_the_queue_are_taken_429_comes_before_the_body_is_read() -> None:
    async def scenario() -> None:
        route, heard = Route(), Heard()
        app = admission(route, heard, slots=1, waiting=0)
        first = asyncio.create_task(ask(app))
        await settle()

        refused = await ask(app, client="10.0.0.2")

        assert (refused.status, refused.code, refused.reads) == (429, "overloaded", 0)
        assert int(refused.headers[b"retry-after"]) >= 1
        assert heard.codes == ["overloaded"]
        route.let_go.set()
        assert (await first).status == 200
        assert (await ask(app)).status == 200

    asyncio.run(scenario())


def test_explaining_and_operators_do_not_wait_for_scoring() -> None:
    async def scenario() -> None:
        route = Route()
        app = admission(route, slots=1, waiting=0)
        others = [("/explain", "POST"), ("/info", "GET"), ("/admin/reload", "POST")]
        asked = [asyncio.create_task(ask(app))]
        for path, method in others:
            asked.append(asyncio.create_task(ask(app, path, method=method, client="127.0.0.1")))
        await settle()

        assert route.inside == 1 + len(others)
        route.let_go.set()
        assert [(await one).status for one in asked] == [200] * 4

    asyncio.run(scenario())


def test_a_client_over_its_rate_is_told_when_to_come_again() -> None:
    async def scenario() -> None:
        route, heard = Route(), Heard()
        route.let_go.set()
        app = admission(route, heard, rates="2/minute")

        statuses = [(await ask(app)).status for _ in range(3)]
        refused = await ask(app)

        assert statuses == [200, 200, 429]
        assert (refused.code, refused.reads) == ("rate_limited", 0)
        assert 1 <= int(refused.headers[b"retry-after"]) <= 60
        assert (await ask(app, client="10.0.0.2")).status == 200
        assert (await ask(app, "/info", method="GET")).status == 200

    asyncio.run(scenario())


def test_a_body_that_does_not_come_is_not_waited_for_and_holds_no_place() -> None:
    async def scenario() -> None:
        route = Route()
        route.let_go.set()
        app = admission(route, body_timeout=0.01)

        refused = await ask(app, body=(b"{",), hangs=True)

        assert (refused.status, refused.code) == (408, "body_timeout")
        assert refused.headers[b"connection"] == b"close"
        assert (await ask(app)).status == 200

    asyncio.run(scenario())


def test_a_client_that_hangs_up_before_its_body_is_whole_holds_no_place() -> None:
    async def scenario() -> None:
        route = Route()
        route.let_go.set()
        app = admission(route)

        gone = await ask(app, body=(b"{",), hangs_up=True)

        assert (gone.status, gone.code) == (400, "client_disconnected")
        assert route.bodies == []
        assert (await ask(app)).status == 200

    asyncio.run(scenario())


def test_a_service_that_knows_it_is_wrong_gives_no_score() -> None:
    async def scenario() -> None:
        route = Route()
        route.let_go.set()
        app = admission(route, wrong="the scorer errs")

        refused = await ask(app)

        assert (refused.status, refused.code) == (503, "self_check_failed")
        assert (await ask(app, "/info", method="GET")).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
def test_probes_pass_whatever_is_going_on(path) -> None:
    async def scenario() -> None:
        route = Route()
        app = admission(route, slots=1, waiting=0, wrong="the scorer errs")
        route.let_go.set()

        assert (await ask(app, path, method="GET")).status == 200

    asyncio.run(scenario())
