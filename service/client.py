"""A typed client of the service; needs only httpx and msgspec.

It repeats what failed on the way or was turned away, keeps a deadline over all of it, and splits
what is more than the service's `/info` allows in one request. What is asked stands in
`client_plans.py`, how long to wait between attempts in `client_retry.py`; `async_client.py` has its
twin for asyncio.
"""

import time
from collections.abc import Callable, Sequence
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


class RelevanceClient:
    """One connection pool to one service; share it between threads.

    `deadline_s` bounds a method call with all its attempts and pieces. Raises `Rejected` (a
    `BadInput`) where the service refuses a request and `Unavailable` where it cannot answer.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        patience: Patience = PATIENT,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(base_url=url, transport=transport)
        self._asker = Asker(url, api_key=api_key)
        self._patience, self._clock, self._sleep = patience, clock, sleep
        self._limits: LimitsInfo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def score(
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
        return rows_of(self.score_columns(asked, options=options, deadline_s=deadline_s))

    def score_columns(
        self,
        asked: Candidates,
        *,
        options: Options = USUAL,
        deadline_s: float | None = None,
    ) -> ColumnsReply:
        """The same, one list a field: cheaper for thousands of candidates."""
        attempts = self._attempts(deadline_s)
        limits = self._known_limits(attempts)
        return self._run(score_plan(asked, options, limits), attempts)

    def score_batch(
        self,
        asked: Sequence[Candidates],
        *,
        options: Options = USUAL,
        deadline_s: float | None = None,
    ) -> list[ColumnsAnswer]:
        """Score several queries; one that is refused has its `error` set."""
        attempts = self._attempts(deadline_s)
        limits = self._known_limits(attempts)
        return self._run(batch_plan(asked, options, limits), attempts)

    def explain(self, query: str, item_id: str, *, deadline_s: float | None = None) -> ExplainReply:
        """Explain one query with an item of the catalogue."""
        body = ExplainRequest(query=query, item_id=item_id)
        return self._ask(explain_call(body), self._attempts(deadline_s))

    def explain_inline(
        self, query: str, item: InlineItem, *, deadline_s: float | None = None
    ) -> ExplainReply:
        """Explain one query with an item sent along."""
        body = ExplainRequest(query=query, item=item)
        return self._ask(explain_call(body), self._attempts(deadline_s))

    def info(self) -> InfoReply:
        """What one request may ask for, and what is running."""
        return self._ask(INFO, self._attempts(None))

    def health(self) -> HealthReply:
        """What is being served and how well."""
        return self._ask(HEALTH, self._attempts(None))

    def _attempts(self, deadline_s: float | None) -> Attempts:
        return Attempts(self._patience, deadline_s, self._clock)

    def _known_limits(self, attempts: Attempts) -> LimitsInfo:
        if self._limits is None:
            found: InfoReply = self._ask(INFO, attempts)
            self._limits = found.limits
        return self._limits

    def _run(self, plan: Plan[Result], attempts: Attempts) -> Result:
        try:
            call = next(plan)
            while True:
                try:
                    reply = self._ask(call, attempts)
                except Rejected as rejected:
                    call = plan.throw(rejected)
                else:
                    call = plan.send(reply)
        except StopIteration as done:
            return done.value

    def _ask(self, call: Call, attempts: Attempts) -> Any:
        while True:
            try:
                reply = self._attempt(call, attempts)
            except Failure as failure:
                self._sleep(attempts.wait_after(failure))
            else:
                attempts.succeeded()
                return reply

    def _attempt(self, call: Call, attempts: Attempts) -> Any:
        request = self._asker.request(self._http, call, attempts)
        try:
            response = self._http.send(request)
        except httpx.HTTPError as fault:
            raise self._asker.no_answer(call, fault) from fault
        return self._asker.reply(call, response)
