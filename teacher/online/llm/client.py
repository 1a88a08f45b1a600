"""A language model behind one or many endpoints: balancing, retries, streaming.

A request goes to the healthiest, least busy endpoint; what fails by an endpoint's fault goes to the
next one. What is asked and what an answer means is not known here.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import httpx

from relevance.errors import BadInput
from teacher.online.llm.breaker import CircuitBreaker, Clock
from teacher.online.llm.endpoints import Connection, Endpoint, Reply
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.prompt import Message
from teacher.online.llm.rate_limits import NO_LIMITS, RateLimits
from teacher.online.llm.retries import Retries, counts
from teacher.online.llm.wire import (
    Ask,
    Completion,
    begun_messages,
    read_completion,
    read_delta,
    read_model,
    read_scores,
    read_tokens,
)

Sleep = Callable[[float], Awaitable[None]]
_DONE = "[DONE]"
_LOAD_OF_FAILURE = 4  # requests that a failure in a row weighs as much as
_LONGEST_LOOK = 1.0  # seconds between looks whether an endpoint is ready again


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a model is waited for, and when an endpoint is left alone.

    `timeout_s` bounds the wait between two pieces of a reply, `connect_s` that for a connection.
    After `failures` in a row an endpoint rests for `rest_s` seconds, then twice that, and so on.
    `limits` hold for each endpoint; a request that waits for its turn does not use up its retries'
    patience.
    """

    timeout_s: float = 120.0
    connect_s: float = 5.0
    retries: Retries = Retries()
    failures: int = 5
    rest_s: float = 5.0
    limits: RateLimits = NO_LIMITS


class LanguageModel:
    """One model, served by any number of endpoints; a context manager, for one event loop."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        seed: int = 0,
    ) -> None:
        if not endpoints:
            raise BadInput("a language model: expected at least one endpoint, got none")
        patience = patience or Patience()
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(patience.timeout_s, connect=patience.connect_s, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            transport=transport,
            trust_env=False,
        )
        self.connections = tuple(
            Connection(
                endpoint,
                self._http,
                CircuitBreaker(failures=patience.failures, rest_s=patience.rest_s, clock=clock),
                limits=patience.limits,
                clock=clock,
            )
            for endpoint in endpoints
        )
        self.retries = patience.retries
        self._clock, self._sleep = clock, sleep
        self._chance = random.Random(seed)

    async def __aenter__(self) -> "LanguageModel":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.connections[0].endpoint.model

    async def complete(self, ask: Ask, *, prefer: int | None = None) -> Completion:
        """The answers to one request; `prefer` is the endpoint whose cache holds the beginning.

        Raises `EndpointFault` when patience or attempts are used up.
        """

        async def once(place: int) -> Completion:
            at = self.connections[place]
            url = f"{at.endpoint.url}/chat/completions"

            def read(content: bytes) -> Completion:
                return read_completion(content, samples=ask.sampling.samples, endpoint=place)

            return await at.post(url, ask.body(at.endpoint.model), read, tokens=_tokens_of)

        return await self._tried(once, prefer)

    async def stream(self, ask: Ask) -> AsyncGenerator[str, None]:
        """The pieces of one answer as they come; tried once, on the best endpoint.

        Raises `EndpointFault`, BROKEN where the stream ends before it is done. Closing the
        iterator cancels the request.
        """
        place, _ = await self._place(None, deadline=0.0)
        at = self.connections[place]
        url = f"{at.endpoint.url}/chat/completions"
        lines = at.lines(url, ask.body(at.endpoint.model, stream=True))
        try:
            async for line in lines:
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == _DONE:
                    return
                if piece := read_delta(data):
                    yield piece
        finally:
            await lines.aclose()
        raise EndpointFault(f"{url}: the stream ended before it was done", kind=FaultKind.BROKEN)

    async def tokens(
        self, messages: Sequence[Message], *, begun: str = "", prefer: int | None = None
    ) -> tuple[int, ...]:
        """The token ids the engine makes of messages (vLLM's `POST /tokenize`)."""

        async def once(place: int) -> tuple[int, ...]:
            at = self.connections[place]
            body = {"model": at.endpoint.model, **begun_messages(messages, begun)}
            return await at.post(f"{at.endpoint.root}/tokenize", body, read_tokens)

        return await self._tried(once, prefer)

    async def next_token_share(
        self, prefixes: Sequence[Sequence[int]], labels: tuple[int, int], *, prefer: int | None
    ) -> tuple[float, ...]:
        """P(first label) among the two, after each prefix (vLLM's `POST /generative_scoring`)."""

        async def once(place: int) -> tuple[float, ...]:
            at = self.connections[place]
            body = {
                "model": at.endpoint.model,
                "query": [],
                "items": [list(prefix) for prefix in prefixes],
                "label_token_ids": list(labels),
            }
            url = f"{at.endpoint.root}/generative_scoring"
            return await at.post(url, body, read_scores, tokens=lambda _: sum(map(len, prefixes)))

        return await self._tried(once, prefer)

    async def served_model(self) -> str:
        """The name of the first model that the first endpoint lists."""
        at = self.connections[0]

        async def once(_: int) -> str:
            return read_model(await at.get(f"{at.endpoint.url}/models"))

        return await self._tried(once, None)

    async def metrics(self) -> tuple[str, ...]:
        """Every endpoint's Prometheus text; empty where it has none to give."""
        return tuple([await self._metrics_of(at) for at in self.connections])

    async def _metrics_of(self, at: Connection) -> str:
        try:
            return (await at.get(f"{at.endpoint.root}/metrics")).decode("utf-8", errors="replace")
        except EndpointFault:
            return ""

    async def _tried(self, once: Callable[[int], Awaitable[Reply]], prefer: int | None) -> Reply:
        began, counted, failures, avoid = self._clock(), 0, 0, None
        while True:
            deadline = began + self.retries.patience_s
            place, in_line_s = await self._place(prefer, deadline=deadline, avoid=avoid)
            began += in_line_s
            try:
                return await once(place)
            except EndpointFault as fault:
                failures += 1
                counted += counts(fault)
                elapsed = self._clock() - began
                if not self.retries.may_retry(fault, counted=counted, elapsed_s=elapsed):
                    raise
                prefer, avoid = None, place
                await self._sleep(self.retries.wait_s(failures, self._chance))

    async def _place(
        self, prefer: int | None, *, deadline: float, avoid: int | None = None
    ) -> tuple[int, float]:
        """The endpoint to ask now, and the seconds that were waited for its turn alone.

        Waits until one is ready: while every endpoint rests, not beyond `deadline`.
        """
        in_line_s = 0.0
        while True:
            if (place := self._readiest(prefer, avoid)) is not None:
                return place, in_line_s
            wait = min(min(at.ready_in_s() for at in self.connections), _LONGEST_LOOK)
            in_line = any(at.rests_for_s() == 0 for at in self.connections)
            if not in_line and self._clock() + wait > deadline + in_line_s:
                resting = ", ".join(at.endpoint.url for at in self.connections)
                raise EndpointFault(f"{resting}: resting after failures", kind=FaultKind.DOWN)
            in_line_s += wait if in_line else 0.0
            await self._sleep(wait)

    def _readiest(self, prefer: int | None, avoid: int | None) -> int | None:
        """The endpoint that can be asked at once and is least busy; None where there is none.

        One that fails fast is never busy: its failures count as load, and who has just failed a
        request is asked for it again only where nobody else is there.
        """
        if prefer is not None and self.connections[prefer].ready_in_s() == 0:
            return prefer
        ready = [
            (place == avoid, at.outstanding + _LOAD_OF_FAILURE * at.breaker.failed_in_a_row, place)
            for place, at in enumerate(self.connections)
            if at.ready_in_s() == 0
        ]
        return min(ready)[-1] if ready else None


def _tokens_of(reply: Completion) -> int:
    return reply.usage.prompt + reply.usage.completion
