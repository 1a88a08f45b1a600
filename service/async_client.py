"""The typed client of `client.py` for asyncio: the same methods, the same plans, awaited."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from service import client_methods
from service.client_events import ExplainEvent, async_events_of, stream_call
from service.client_http import PATIENT, Asker
from service.client_methods import Asking, shown_as
from service.client_plans import INFO, LIMITS, Call, Rejected
from service.client_retry import Attempts, Failure, Patience
from service.deadline import Clock
from service.wire import InlineItem
from service.wire_status import InfoReply, LimitsInfo

P = ParamSpec("P")
Result = TypeVar("Result")


def carried_out(
    ask: Callable[P, Asking[Result]],
) -> Callable[Concatenate["AsyncRelevanceClient", P], Coroutine[Any, Any, Result]]:
    """The method that carries out what `ask` plans."""

    @wraps(ask)
    async def method(self: "AsyncRelevanceClient", /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return await self.run(ask(*args, **kwargs))

    vars(method)["__signature__"] = shown_as(ask)
    return method


class AsyncRelevanceClient:
    """One connection pool to one service, for asyncio; see `RelevanceClient`."""

    score = carried_out(client_methods.score)
    score_columns = carried_out(client_methods.score_columns)
    score_batch = carried_out(client_methods.score_batch)
    search = carried_out(client_methods.search)
    rerank = carried_out(client_methods.rerank)
    explain = carried_out(client_methods.explain)
    explain_inline = carried_out(client_methods.explain_inline)
    info = carried_out(client_methods.info)
    health = carried_out(client_methods.health)

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        patience: Patience = PATIENT,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, transport=transport)
        self._asker = Asker(url, api_key=api_key)
        self._patience, self._clock, self._sleep = patience, clock, sleep
        self._limits: LimitsInfo | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, asking: Asking[Result]) -> Result:
        """Carry out a plan of `client_methods.py`."""
        attempts = Attempts(self._patience, asking.deadline_s, self._clock)
        plan = asking.plan
        try:
            call = next(plan)
            while True:
                try:
                    reply = await self._known_or_asked(call, attempts)
                except Rejected as rejected:
                    call = plan.throw(rejected)
                else:
                    call = plan.send(reply)
        except StopIteration as done:
            return done.value

    async def explain_stream(
        self,
        query: str,
        item_id: str | None = None,
        *,
        item: InlineItem | None = None,
        experiment_key: str | None = None,
        deadline_s: float | None = None,
    ) -> AsyncGenerator[ExplainEvent, None]:
        """Explain as it is written: the alignment (`teacher.state` is `waiting`), text, the reply.

        Only the beginning is tried again. Closing the iterator ends the teacher's work, too.
        """
        attempts = Attempts(self._patience, deadline_s, self._clock)
        call = stream_call(query, item_id, item, experiment_key=experiment_key)
        opened = await self._ask(call, attempts, streamed=True)
        async with aclosing(opened), aclosing(async_events_of(opened)) as events:
            async for event in events:
                yield event

    async def _known_or_asked(self, call: Call, attempts: Attempts) -> Any:
        if call is not LIMITS:
            return await self._ask(call, attempts)
        if self._limits is None:
            found: InfoReply = await self._ask(INFO, attempts)
            self._limits = found.limits
        return self._limits

    async def _ask(self, call: Call, attempts: Attempts, *, streamed: bool = False) -> Any:
        while True:
            try:
                reply = await self._attempt(call, attempts, streamed=streamed)
            except Failure as failure:
                await self._sleep(attempts.wait_after(failure))
            else:
                attempts.succeeded()
                return reply

    async def _attempt(self, call: Call, attempts: Attempts, *, streamed: bool) -> Any:
        request = self._asker.request(self._http, call, attempts)
        try:
            response = await self._http.send(request, stream=streamed)
            if streamed and response.is_success:
                return response
            await response.aread()
        except httpx.HTTPError as fault:
            raise self._asker.no_answer(call, fault) from fault
        return self._asker.reply(call, response)
