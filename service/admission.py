"""Who gets in and when: access, rate limit, the whole body, a place in the queue; in this order.

ASGI middleware in front of the routes. A request that cannot be served soon is told so (429 with
Retry-After) before its body is read. A place is held from when the body is there until the reply
begins, so neither a slow sender nor a slow reader keeps one.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import OPEN, admit
from service.fair_queue import FairQueue, Overloaded
from service.lifecycle import Lifecycle
from service.replies import CLOSE, Refused, refusal_reply

EXPLAINING = frozenset({"/explain", "/console/api/explain", "/console/api/reasons"})
UNQUEUED = ("/admin",)  # operators get in when everybody else waits


@dataclass(frozen=True, slots=True)
class Queues:
    """Scoring and explaining have places of their own: a slow teacher cannot hold up scoring."""

    scoring: FairQueue
    explaining: FairQueue

    def of(self, scope: Scope) -> FairQueue | None:
        """The queue a request belongs in; None for those that compute nothing."""
        path = scope["path"]
        if scope["method"] != "POST" or path.startswith(UNQUEUED):
            return None
        return self.explaining if path in EXPLAINING else self.scoring


@dataclass(frozen=True, slots=True)
class Gate:
    """What admission decides by; there once the service is open."""

    lifecycle: Lifecycle
    queues: Queues


class AdmissionObserver(Protocol):
    """Hears what admission decides."""

    def client(self, name: str) -> None:
        """Who asks."""
        ...

    def waited(self, seconds: float) -> None:
        """How long the request stood in the queue."""
        ...

    def refused(self, code: str) -> None:
        """The request was turned away."""
        ...


class Admission:
    """ASGI middleware; before there is a `gate()`, the routes say `not_ready`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Callable[[], Gate | None],
        body_timeout: float,
        observe: AdmissionObserver,
    ) -> None:
        self._app = app
        self._gate = gate
        self._body_timeout = body_timeout
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, make it wait, or refuse it."""
        gate = self._gate()
        if scope["type"] != "http" or gate is None or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            await self._through(gate, scope, receive, send)
        except Refused as refused:  # only from here: routes answer their own refusals
            self._observe.refused(refused.code)
            await refusal_reply(refused, path=scope["path"])(scope, receive, send)

    async def _through(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        scope["arrived"] = time.monotonic()  # deadlines count from here, waiting included
        client = admit(scope, gate.lifecycle.keys).name
        self._observe.client(client)
        queue = gate.queues.of(scope)
        if queue is None:
            await self._app(scope, receive, send)
            return
        await _check_rate(gate.lifecycle, client)
        if gate.lifecycle.check.is_wrong:
            message = f"no answers are given: {gate.lifecycle.check.fault}"
            raise Refused(503, "self_check_failed", message)
        with _as_429():
            queue.check(client)
            body = await self._whole_body(receive)
            waited = await queue.enter(client)
        self._observe.waited(waited)
        place = _Place(queue)
        try:
            await self._app(scope, _replay(body, receive), place.until_reply(send))
        finally:
            place.leave()

    async def _whole_body(self, receive: Receive) -> bytes:
        chunks = []
        try:
            async with asyncio.timeout(self._body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "client_disconnected", "the body ended early")
                    chunks.append(message.get("body", b""))
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError as fault:
            seconds = f"{self._body_timeout:g}"
            late = f"expected the whole body within {seconds} s"
            raise Refused(408, "body_timeout", late, headers=CLOSE) from fault


class _Place:
    """A place in the queue, given back once."""

    def __init__(self, queue: FairQueue) -> None:
        self._queue = queue
        self._since: float | None = time.monotonic()

    def leave(self) -> None:
        """Give the place back, if it is still held."""
        if self._since is not None:
            held, self._since = time.monotonic() - self._since, None
            self._queue.leave(held=held)

    def until_reply(self, send: Send) -> Send:
        """`send`, giving the place back when the reply begins: then everything is computed."""

        async def sending(message: Message) -> None:
            self.leave()
            await send(message)

        return sending


@contextmanager
def _as_429() -> Iterator[None]:
    try:
        yield
    except Overloaded as overloaded:
        message = "the service is busy: ask again later"
        headers = {"retry-after": str(overloaded.retry_after)}
        raise Refused(429, "overloaded", message, headers=headers) from overloaded


async def _check_rate(lifecycle: Lifecycle, client: str) -> None:
    seconds = await lifecycle.rates.wait_for(client)
    if seconds:
        rate = lifecycle.settings.rate_limit
        message = f"client `{client}`: more requests than {rate}"
        raise Refused(429, "rate_limited", message, headers={"retry-after": str(seconds)})


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the whole body first, then what the client does next."""
    is_given = False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
