"""The typed client of `client.py` for asyncio: the same methods, the same plans, awaited."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from service.client_http import HEALTH, INFO, PATIENT, USUAL, Asker
from service.client_plans import (
    Call,
    Options,
    Plan,
    Rejected,
    batch_plan,
    explain_call,
    rows_of,
    score_plan,
)
from service.client_retry import Attempts, Failure, Patience
from service.deadline import Clock
from service.wire import (
    Candidates,
    ColumnsAnswer,
    ColumnsReply,
    ExplainReply,
    ExplainRequest,
    InlineItem,
    ScoreReply,
)
from service.wire_status import HealthReply, InfoReply, LimitsInfo

Result = TypeVar("Result")


class AsyncRelevanceClient:
    """One connection pool to one service, for asyncio; see `RelevanceClient`."""

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

    async def score(
        self,
        query: str,
        item_ids: Sequence[str] = (),
        *,
        items: Sequence[InlineItem] = (),
        top_n: int | None = None,
        options: Options = USUAL,
        deadline_s: float | None = None,
    ) -> ScoreReply:
        """Score candidates by id, then those sent along; any number of them."""
        asked = Candidates(query=query, item_ids=list(item_ids), items=list(items), top_n=top_n)
        return rows_of(await self.score_columns(asked, options=options, deadline_s=deadline_s))

    async def score_columns(
        self,
        asked: Candidates,
        *,
        options: Options = USUAL,
        deadline_s: float | None = None,
    ) -> ColumnsReply:
        """The same, one list a field: cheaper for thousands of candidates."""
        attempts = self._attempts(deadline_s)
        limits = await self._known_limits(attempts)
        return await self._run(score_plan(asked, options, limits), attempts)

    async def score_batch(
        self,
        asked: Sequence[Candidates],
        *,
        options: Options = USUAL,
        deadline_s: float | None = None,
    ) -> list[ColumnsAnswer]:
        """Score several queries; one that is refused has its `error` set."""
        attempts = self._attempts(deadline_s)
        limits = await self._known_limits(attempts)
        return await self._run(batch_plan(asked, options, limits), attempts)

    async def explain(
        self, query: str, item_id: str, *, deadline_s: float | None = None
    ) -> ExplainReply:
        """Explain one query with an item of the catalogue."""
        body = ExplainRequest(query=query, item_id=item_id)
        return await self._ask(explain_call(body), self._attempts(deadline_s))

    async def explain_inline(
        self, query: str, item: InlineItem, *, deadline_s: float | None = None
    ) -> ExplainReply:
        """Explain one query with an item sent along."""
        body = ExplainRequest(query=query, item=item)
        return await self._ask(explain_call(body), self._attempts(deadline_s))

    async def info(self) -> InfoReply:
        """What one request may ask for, and what is running."""
        return await self._ask(INFO, self._attempts(None))

    async def health(self) -> HealthReply:
        """What is being served and how well."""
        return await self._ask(HEALTH, self._attempts(None))

    def _attempts(self, deadline_s: float | None) -> Attempts:
        return Attempts(self._patience, deadline_s, self._clock)

    async def _known_limits(self, attempts: Attempts) -> LimitsInfo:
        if self._limits is None:
            found: InfoReply = await self._ask(INFO, attempts)
            self._limits = found.limits
        return self._limits

    async def _run(self, plan: Plan[Result], attempts: Attempts) -> Result:
        try:
            call = next(plan)
            while True:
                try:
                    reply = await self._ask(call, attempts)
                except Rejected as rejected:
                    call = plan.throw(rejected)
                else:
                    call = plan.send(reply)
        except StopIteration as done:
            return done.value

    async def _ask(self, call: Call, attempts: Attempts) -> Any:
        while True:
            try:
                reply = await self._attempt(call, attempts)
            except Failure as failure:
                await self._sleep(attempts.wait_after(failure))
            else:
                attempts.succeeded()
                return reply

    async def _attempt(self, call: Call, attempts: Attempts) -> Any:
        request = self._asker.request(self._http, call, attempts)
        try:
            response = await self._http.send(request)
        except httpx.HTTPError as fault:
            raise self._asker.no_answer(call, fault) from fault
        return self._asker.reply(call, response)
