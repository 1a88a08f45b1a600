"""POST /explain: why one pair scores as it does, in one reply or as it is written."""

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from service.explain import aligned, explain_reply
from service.explain_stream import MEDIA_TYPE, explain_events
from service.explain_wire import ExplainReply, ExplainRequest
from service.job import Job
from service.openapi import described
from service.routes.request import BareRoute, Service, answer, service_of

FAULTS = (400, 401, 403, 404, 408, 409, 413, 422, 429, 503)
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # nothing may hold it back
router = APIRouter(route_class=BareRoute)


def _described() -> dict[str, Any]:
    told = described("/explain", ExplainRequest, ExplainReply, faults=FAULTS)
    event = {  # before OpenAPI 3.2 the schema of a stream describes one event
        "type": "object",
        "properties": {
            "event": {"enum": ["alignment", "delta", "reply", "error"]},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "description": "An ExplainReply, text and origin, an ExplainReply, an ErrorReply.",
            },
        },
        "required": ["event", "data"],
    }
    told["responses"][200]["content"][MEDIA_TYPE] = {"schema": event}
    return told


@router.post("/explain", **_described())
async def explain(request: Request) -> Response:
    """Explain a pair: each query token's share of the score, and the teachers' reasons."""
    return await explain_answer(request)


async def explain_answer(request: Request) -> Response:
    """One reply, or a stream of events where the client asks for it."""
    service = service_of(request)
    accepted = request.headers.get("accept", "")
    wants_events = MEDIA_TYPE in accepted.lower()
    asked = service.experiments.asked(request.headers)

    def computed(job: Job, body: ExplainRequest) -> ExplainReply | Response:
        job = service.experiments.explaining(job, body, asked)
        if not (wants_events or body.stream):
            return explain_reply(job, body, service.explanations)
        done = partial(service.telemetry.record, request.scope["path"], job.work)
        return _streamed(service, job, body, done)

    return await answer(request, ExplainRequest, computed, service.explaining)


def _streamed(
    service: Service, job: Job, body: ExplainRequest, done: Callable[[], None]
) -> Response:
    """Refuses what can be refused while an ordinary reply is still possible."""
    events = explain_events(
        job,
        aligned(job, body),
        service.explanations,
        threads=service.explaining,
        done=done,
    )
    return StreamingResponse(events, media_type=MEDIA_TYPE, headers=HEADERS)
