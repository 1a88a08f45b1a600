"""POST /explain: why one pair scores as it does."""

from fastapi import APIRouter, Request, Response

from service.explain import explain_reply
from service.job import Job
from service.openapi import described
from service.routes.request import BareRoute, answer, service_of
from service.wire import ExplainReply, ExplainRequest

FAULTS = (400, 401, 403, 404, 408, 409, 413, 422, 429, 503)
router = APIRouter(route_class=BareRoute)


@router.post("/explain", **described("/explain", ExplainRequest, ExplainReply, faults=FAULTS))
async def explain(request: Request) -> Response:
    """Explain a pair: each query token's share of the score, and the teacher's reasons."""
    service = service_of(request)

    def explained(job: Job, body: ExplainRequest) -> ExplainReply:
        return explain_reply(job, body, service.explanations)

    return await answer(request, ExplainRequest, explained, service.explaining)
