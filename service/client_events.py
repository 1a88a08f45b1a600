"""The events of a streamed explanation as typed values, read line by line, for both clients."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import httpx
import msgspec

from relevance.errors import Unavailable
from service.client_plans import Call
from service.explain_wire import ExplainReply, ExplainRequest, TextDelta
from service.wire import ErrorReply, InlineItem

ExplainEvent = ExplainReply | TextDelta
KINDS: dict[str, type[Any]] = {
    "alignment": ExplainReply,
    "delta": TextDelta,
    "reply": ExplainReply,
    "error": ErrorReply,
}
LAST = "reply"


def stream_call(
    query: str,
    item_id: str | None,
    item: InlineItem | None,
    *,
    experiment_key: str | None = None,
) -> Call:
    """The request for the events of one explanation."""
    body = ExplainRequest(
        query=query, item_id=item_id, item=item, experiment_key=experiment_key, stream=True
    )
    return Call("POST", "/explain", ExplainReply, body)


def events_of(response: httpx.Response) -> Generator[ExplainEvent, None, None]:
    """Each event as it comes; raises `Unavailable` where the stream breaks or tells of a fault."""
    events = _Events()
    try:
        for line in response.iter_lines():
            yield from events.of(line)
    except httpx.HTTPError as fault:
        raise _broken(fault) from fault
    events.check_end()


async def async_events_of(response: httpx.Response) -> AsyncGenerator[ExplainEvent, None]:
    """The same for asyncio."""
    events = _Events()
    lines: AsyncIterator[str] = response.aiter_lines()
    try:
        async for line in lines:
            for event in events.of(line):
                yield event
    except httpx.HTTPError as fault:
        raise _broken(fault) from fault
    events.check_end()


class _Events:
    """What has been read of a stream; an event is a name, then its data, as this service writes."""

    def __init__(self) -> None:
        self._name = ""

    def of(self, line: str) -> Iterator[ExplainEvent]:
        field, _, value = line.partition(": ")
        if field == "event":
            self._name = value
        elif field == "data" and self._name in KINDS:  # names of later versions are passed over
            event = self._decoded(value)
            if isinstance(event, ErrorReply):
                raise Unavailable(f"/explain: {event.error.code}: {event.error.message}")
            yield event

    def check_end(self) -> None:
        if self._name != LAST:
            raise _broken("the stream ended before the reply")

    def _decoded(self, value: str) -> Any:
        try:
            return msgspec.json.decode(value, type=KINDS[self._name])
        except msgspec.DecodeError as fault:
            raise _broken(f"expected the event `{self._name}`, got {value[:80]!r}") from fault


def _broken(why: object) -> Unavailable:
    return Unavailable(f"/explain: {why}")
