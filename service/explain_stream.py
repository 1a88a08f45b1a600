"""An explanation as server-sent events: the alignment at once, the teacher's text as it is written.

    event: alignment   an ExplainReply whose `teacher.state` is `waiting`
    event: delta       {"text": …, "origin": "llm"}; as many as there are
    event: reply       the whole ExplainReply; the stream ends
    event: error       instead of it, the usual error envelope

A client that goes away takes the call to the language model with it. What is in a reply is
`explain.py`'s; server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial

import msgspec
from anyio import CapacityLimiter, to_thread

from service.explain import AlignedPair, explained, reply_of
from service.explain_wire import ExplainReply, Origin, TeacherOpinion, TeacherState, TextDelta
from service.explanations import Explanations
from service.job import Job
from service.listener import Gone, Listener
from service.wire import ErrorReply, Fault

MEDIA_TYPE = "text/event-stream"
ALIVE_S = 5.0  # seconds of silence after which a comment keeps proxies from hanging up
ALIVE = b": waiting\n\n"
WAITING = TeacherOpinion(TeacherState.WAITING, None)
log = logging.getLogger(__name__)


async def explain_events(
    job: Job,
    pair: AlignedPair,
    explanations: Explanations,
    *,
    threads: CapacityLimiter,
    done: Callable[[], None],
) -> AsyncGenerator[bytes, None]:
    """The events of one explanation; `done` is called when the work ends, heard or not."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(event: bytes | None) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    listener = Listener(lambda text: put(_event("delta", TextDelta(text, Origin.LLM))))
    work = partial(_work, job, pair, explanations, listener, put, done)
    yield _event("alignment", reply_of(job, pair, WAITING))
    working = asyncio.create_task(to_thread.run_sync(work, abandon_on_cancel=True, limiter=threads))
    try:
        while (event := await _next(events)) is not None:
            yield event
    finally:
        listener.leave()
        working.cancel()


def _work(
    job: Job,
    pair: AlignedPair,
    explanations: Explanations,
    listener: Listener,
    put: Callable[[bytes | None], None],
    done: Callable[[], None],
) -> None:
    """In a thread: ask the teachers and hand over the last event, then nothing."""
    try:
        put(_event("reply", explained(job, pair, explanations, listener=listener)))
    except Gone:
        return  # nobody reads any more, perhaps the loop is gone too
    except Exception:
        log.exception("a fault while explaining")
        fault = Fault("a fault in the service; its log says more", "server_error", "internal", None)
        put(_event("error", ErrorReply(fault)))
    finally:
        done()
    put(None)


async def _next(events: "asyncio.Queue[bytes | None]") -> bytes | None:
    try:
        return await asyncio.wait_for(events.get(), ALIVE_S)
    except TimeoutError:
        return ALIVE


def _event(name: str, data: ExplainReply | TextDelta | ErrorReply) -> bytes:
    """JSON has no line ends of its own, so one `data:` line is enough."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
