"""A typed client of the service; needs only httpx and msgspec.

It repeats what failed on the way or was turned away, keeps a deadline over all of it, and splits
what is more than the service's `/info` allows in one request. Its methods' parameters and what they
ask stand in `client_methods.py`, how long to wait between attempts in `client_retry.py`;
`async_client.py` has its twin for asyncio.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from service import client_methods
from service.client_events import ExplainEvent, events_of, stream_call
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
) -> Callable[Concatenate["RelevanceClient", P], Result]:
    """The method that carries out what `ask` plans."""

    @wraps(ask)
    def method(self: "RelevanceClient", /, *args: P.args, **kwargs: P.kwargs) -> Result:
        return self.run(ask(*args, **kwargs))

    vars(method)["__signature__"] = shown_as(ask)
    return method


class RelevanceClient:
    """One connection pool to one service; share it between threads.

    `deadline_s` bounds a method call with all its attempts and pieces. Raises `Rejected` (a
    `BadInput`) where the service refuses a request and `Unavailable` where it cannot answer.
    """

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

    def run(self, asking: Asking[Result]) -> Result:
        """Carry out a plan of `client_methods.py`."""
        attempts = Attempts(self._patience, asking.deadline_s, self._clock)
        plan = asking.plan
        try:
            call = next(plan)
            while True:
                try:
                    reply = self._known_or_asked(call, attempts)
                except Rejected as rejected:
                    call = plan.throw(rejected)
                else:
                    call = plan.send(reply)
        except StopIteration as done:
            return done.value

    def explain_stream(
        self,
        query: str,
        item_id: str | None = None,
        *,
        item: InlineItem | None = None,
        experiment_key: str | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[ExplainEvent]:
        """Explain as it is written: the alignment (`teacher.state` is `waiting`), text, the reply.

        Only the beginning is tried again. Closing the iterator ends the teacher's work, too.
        """
        attempts = Attempts(self._patience, deadline_s, self._clock)
        call = stream_call(query, item_id, item, experiment_key=experiment_key)
        with closing(self._ask(call, attempts, streamed=True)) as opened:
            yield from events_of(opened)

    def _known_or_asked(self, call: Call, attempts: Attempts) -> Any:
        if call is not LIMITS:
            return self._ask(call, attempts)
        if self._limits is None:
            found: InfoReply = self._ask(INFO, attempts)
            self._limits = found.limits
        return self._limits

    def _ask(self, call: Call, attempts: Attempts, *, streamed: bool = False) -> Any:
        while True:
            try:
                reply = self._attempt(call, attempts, streamed=streamed)
            except Failure as failure:
                self._sleep(attempts.wait_after(failure))
            else:
                attempts.succeeded()
                return reply

    def _attempt(self, call: Call, attempts: Attempts, *, streamed: bool) -> Any:
        request = self._asker.request(self._http, call, attempts)
        try:
            response = self._http.send(request, stream=streamed)
            if streamed and response.is_success:
                return response
            response.read()
        except httpx.HTTPError as fault:
            raise self._asker.no_answer(call, fault) from fault
        return self._asker.reply(call, response)
