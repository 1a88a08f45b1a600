"""What the answering routes do with a request: read its body, compute in a thread, write the reply.

Computing happens in threads, because ONNX Runtime and the tokenizer release the interpreter's lock:
the event loop goes on accepting, and probes answer, while cores are busy.
"""

import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from anyio import CapacityLimiter
from fastapi.routing import APIRoute
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from service import bodies
from service.deadline import Deadline
from service.experiments.experiments import Experiments
from service.experiments.turn import in_time
from service.explanations import Explanations
from service.job import Job
from service.limits import Limits
from service.missing_texts import MissingTexts
from service.replies import Refused
from service.snapshot import Snapshot
from service.work import Stage, Telemetry, Work

ARRIVED = "arrived"  # where admission notes in the scope when a request came (monotonic seconds)


Schema = TypeVar("Schema", bound=Struct)
Forms = Mapping[type[Struct], Callable[[Job, Any], Any]]  # shapes of body, what computes replies


class BareRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response: nothing is injected.

    FastAPI documents it as any other, but neither solves dependencies nor looks at the body: that
    costs as much as scoring a hundred candidates.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return cast(Callable[[Request], Coroutine[Any, Any, Response]], self.endpoint)


class Service(Protocol):
    """What the routes find on `app.state.open` while the service is open.

    `snapshot` is read once a request. Explaining has threads of its own, so a slow teacher cannot
    hold up scoring.
    """

    @property
    def snapshot(self) -> Snapshot:
        """What answers now."""
        ...

    @property
    def limits(self) -> Limits:
        """The most one request may ask for."""
        ...

    @property
    def missing(self) -> MissingTexts:
        """What bounds encoding stored texts, and keeps what was encoded."""
        ...

    @property
    def explanations(self) -> Explanations:
        """The teachers."""
        ...

    @property
    def experiments(self) -> Experiments:
        """What runs beside the snapshot, and the pair log."""
        ...

    @property
    def telemetry(self) -> Telemetry:
        """Takes each answered request's work."""
        ...

    @property
    def scoring(self) -> CapacityLimiter:
        """The threads that score."""
        ...

    @property
    def explaining(self) -> CapacityLimiter:
        """The threads that explain."""
        ...


def service_of(request: Request) -> Service:
    """What is open; refuses with 503 before that."""
    opened: Service | None = getattr(request.app.state, "open", None)
    if opened is None:
        raise Refused(503, "not_ready", "the service is not ready yet")
    return opened


def in_experiments(request: Request, forms: Forms) -> Forms:
    """The same forms, each answered by the variant that the request belongs to, and logged."""
    experiments = service_of(request).experiments
    asked = experiments.asked(request.headers)
    request.state.turn = asked.turn
    return {
        schema: partial(experiments.answered, compute=compute, asked=asked)
        for schema, compute in forms.items()
    }


async def answer(
    request: Request,
    schema: type[Schema],
    compute: Callable[[Job, Schema], Any],
    threads: CapacityLimiter,
) -> Response:
    """Answer in a thread; in the encoding the client accepts, else in that of its request."""
    return await answer_one_of(request, {schema: compute}, threads)


async def answer_one_of(request: Request, forms: Forms, threads: CapacityLimiter) -> Response:
    """The same for a route that takes several shapes of body, the usual one first."""
    arrived = request.scope.get(ARRIVED, time.monotonic())
    service = service_of(request)
    encoding = bodies.encoding_of(request.headers.get("content-type"))
    accepted = bodies.encoding_of(request.headers.get("accept"), otherwise=encoding)
    raw = await request.body()

    def computed() -> Response:
        work = Work()
        with work.timed(Stage.PARSE):
            body = bodies.read_one_of(raw, tuple(forms), encoding)
        request.state.query_text = getattr(body, "query", None)  # for the log, which hashes it
        deadline = Deadline.after(getattr(body, "deadline_ms", None), since=arrived)
        job = Job(service.snapshot, service.limits, deadline, work, service.missing)
        content = forms[type(body)](job, body)
        work.ranked.clear()
        if isinstance(content, Response):  # a stream, whose work is recorded when it ends
            return content
        with work.timed(Stage.SERIALISE):
            reply = bodies.reply(content, accepted)
        service.telemetry.record(request.scope["path"], work)
        return reply

    turn = getattr(request.state, "turn", None)
    return await in_time(computed, limiter=threads, turn=turn)
