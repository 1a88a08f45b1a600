"""Where language models are reached: addresses as people write them, and one connection each.

A connection makes one attempt and says how it went; who is asked and how often is `client.py`'s.
"""

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from relevance.errors import BadInput
from teacher.online.llm.breaker import CircuitBreaker, Clock
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.rate_limits import NO_LIMITS, Pace, RateLimits
from teacher.online.llm.retries import read_retry_after
from teacher.online.llm.wire import garbage

DEFAULT_ENDPOINTS = (  # the paper's two annotators; 8000 is the port `vllm serve` takes
    "Qwen/Qwen2-72B-Instruct=http://localhost:8000/v1",
    "meta-llama/Meta-Llama-3-70B-Instruct=http://localhost:8001/v1",
)
Reply = TypeVar("Reply")
_SHOWN = 200  # characters of an error's text


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server: its address up to `/v1`, the model, and a key if it asks."""

    url: str
    model: str = ""
    key: str = field(default="", repr=False)

    @property
    def root(self) -> str:
        """The server without `/v1`, where vLLM's own routes lie."""
        return self.url.removesuffix("/v1")


def read_endpoints(specs: Iterable[str], *, key: str = "") -> dict[str, tuple[Endpoint, ...]]:
    """Endpoints by model, of texts like `MODEL=URL` or `URL`; several URLs are set off by commas.

    A URL without a model stands under the empty name: ask the server. Raises `BadInput` where an
    address is none.
    """
    found: dict[str, list[Endpoint]] = {}
    for spec in specs:
        name, equals, rest = spec.partition("=")
        model, urls = (name, rest) if equals and "://" not in name else ("", spec)
        for url in urls.split(","):
            found.setdefault(model, []).append(Endpoint(_checked(url.strip()), model, key))
    return {model: tuple(listed) for model, listed in found.items()}


def _checked(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise BadInput(f"endpoint: expected http://host:port/v1, got {url!r}") from fault
    if parts.scheme not in ("http", "https") or not parts.host:
        raise BadInput(f"endpoint: expected http://host:port/v1, got {url!r}")
    plain = url.rstrip("/")
    return plain if plain.endswith("/v1") else f"{plain}/v1"


class Connection:
    """One endpoint, how busy it is and how well; for one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        http: httpx.AsyncClient,
        breaker: CircuitBreaker,
        *,
        limits: RateLimits = NO_LIMITS,
        clock: Clock = time.monotonic,
    ) -> None:
        self.endpoint = endpoint
        self.breaker = breaker
        self.pace = Pace(limits, clock=clock)
        self.outstanding = 0
        self._http = http
        self._clock = clock
        self._rests_until = 0.0

    def ready_in_s(self) -> float:
        """Seconds until this endpoint may be asked; infinite while nobody can tell."""
        return max(self.rests_for_s(), self.pace.ready_in_s())

    def rests_for_s(self) -> float:
        """The same without our own pace: how long it is unwell or has asked to be left alone."""
        return max(self.breaker.ready_in_s(), self._rests_until - self._clock(), 0.0)

    async def post(
        self,
        url: str,
        body: Mapping[str, Any],
        read: Callable[[bytes], Reply],
        *,
        tokens: Callable[[Reply], int] = lambda _: 0,
    ) -> Reply:
        """One attempt; what `read` makes of the reply's bytes, which cost so many `tokens`.

        Raises `EndpointFault`.
        """
        async with (
            self.attempt() as expected,
            self._http.stream("POST", url, json=body, headers=self._headers) as reply,
        ):
            content = await reply.aread()
            raise_for_status(reply, content)
            found = read(content)
            self.pace.told(tokens(found), expected=expected)
            return found

    async def lines(self, url: str, body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        """One attempt; the lines of a streamed reply as they come."""
        async with (
            self.attempt(),
            self._http.stream("POST", url, json=body, headers=self._headers) as reply,
        ):
            if reply.status_code != httpx.codes.OK:
                raise_for_status(reply, await reply.aread())
            async for line in reply.aiter_lines():
                yield line

    async def get(self, url: str) -> bytes:
        """One attempt; the reply's bytes. Does not count as load."""
        with translated(self.endpoint.url):
            reply = await self._http.get(url, headers=self._headers)
        raise_for_status(reply, reply.content)
        return reply.content

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[float]:
        """Counts a request as outstanding and tells the breaker how it ended.

        Yields the tokens the request is taken to cost.
        """
        self.outstanding += 1
        self.breaker.enter()
        try:
            with translated(self.endpoint.url):
                yield self.pace.enter()
        except EndpointFault as fault:
            self._noted(fault)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self.breaker.left()
            raise
        else:
            self.breaker.succeeded()
        finally:
            self.outstanding -= 1

    def _noted(self, fault: EndpointFault) -> None:
        """Busy endpoints rest as long as they ask, failing ones as the breaker says."""
        if fault.kind is FaultKind.BUSY:
            self._rests_until = self._clock() + (fault.retry_after or 0.0)
            self.breaker.left()
        elif fault.kind in (FaultKind.REFUSED, FaultKind.DENIED):
            self.breaker.succeeded()  # it answers, and quickly
        else:
            self.breaker.failed()

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turns what httpx raises into an `EndpointFault` that names the endpoint."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError) as fault:
        kind = next(means for known, means in _MEANING if isinstance(fault, known))
        raise EndpointFault(f"{url}: {fault!r}", kind=kind) from fault


_MEANING: Sequence[tuple[type[Exception], FaultKind]] = (
    (httpx.ConnectTimeout, FaultKind.DOWN),
    (httpx.PoolTimeout, FaultKind.DOWN),
    (httpx.TimeoutException, FaultKind.TIMEOUT),
    (httpx.ConnectError, FaultKind.DOWN),
    (httpx.DecodingError, FaultKind.GARBAGE),
    (httpx.HTTPError, FaultKind.BROKEN),
    (httpx.StreamError, FaultKind.BROKEN),
)


def raise_for_status(reply: httpx.Response, content: bytes) -> None:
    """Raise the `EndpointFault` of a status other than 200."""
    status = reply.status_code
    if status == httpx.codes.OK:
        return
    kind = _KIND_OF_STATUS.get(status)
    if kind is None:
        kind = FaultKind.BROKEN if status >= 500 else FaultKind.REFUSED
    if not 400 <= status < 600:
        raise garbage("status 200", content, f"status {status}")
    said = content[:_SHOWN].decode("utf-8", errors="replace")
    raise EndpointFault(
        f"{reply.request.url}: status {status}: {said}",
        kind=kind,
        retry_after=read_retry_after(reply.headers.get("retry-after")),
    )


_KIND_OF_STATUS = {
    401: FaultKind.DENIED,
    403: FaultKind.DENIED,
    404: FaultKind.DENIED,
    408: FaultKind.TIMEOUT,
    429: FaultKind.BUSY,
    503: FaultKind.BUSY,
    504: FaultKind.TIMEOUT,
}
