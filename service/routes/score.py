"""POST /score and POST /score/batch: how well each candidate answers the query."""

from fastapi import APIRouter, Request, Response

from service.openapi import described
from service.requests import batch_reply, score_reply
from service.routes.request import BareRoute, answer, service_of
from service.wire import (
    BatchColumnsReply,
    BatchReply,
    BatchRequest,
    ColumnsReply,
    ScoreReply,
    ScoreRequest,
)

FAULTS = (400, 401, 403, 404, 408, 409, 413, 422, 429, 503, 504)
router = APIRouter(route_class=BareRoute)


@router.post("/score", **described("/score", ScoreRequest, ScoreReply, ColumnsReply, faults=FAULTS))
async def score(request: Request) -> Response:
    """Score cached items by id, items sent along, or both, from the best to the worst."""
    return await answer(request, ScoreRequest, score_reply, service_of(request).scoring)


@router.post(
    "/score/batch",
    **described("/score/batch", BatchRequest, BatchReply, BatchColumnsReply, faults=FAULTS),
)
async def batch(request: Request) -> Response:
    """Score several queries' candidates against one snapshot of the catalogue."""
    return await answer(request, BatchRequest, batch_reply, service_of(request).scoring)
