"""POST /score and POST /score/batch: how well each candidate answers the query."""

from fastapi import APIRouter, Request, Response

from service.openapi import described
from service.requests import batch_reply, score_reply
from service.rerank.answers import pairs_reply
from service.rerank.wire import SIDES, PairsReply
from service.routes.request import BareRoute, Forms, answer_one_of, in_experiments, service_of
from service.wire import (
    BatchColumnsReply,
    BatchReply,
    BatchRequest,
    ColumnsReply,
    ScoreReply,
    ScoreRequest,
)

FAULTS = (400, 401, 403, 404, 408, 409, 413, 422, 429, 503, 504)
# The path is vLLM's too, with field names of its own.
FORMS: Forms = {ScoreRequest: score_reply, **dict.fromkeys(SIDES, pairs_reply)}
router = APIRouter(route_class=BareRoute)


@router.post(
    "/score",
    **described("/score", tuple(FORMS), ScoreReply, ColumnsReply, PairsReply, faults=FAULTS),
)
async def score(request: Request) -> Response:
    """Score cached items by id, items sent along, or both, from the best to the worst.

    A body with vLLM's field names is answered as vLLM answers: pair by pair.
    """
    forms = in_experiments(request, FORMS)
    return await answer_one_of(request, forms, service_of(request).scoring)


@router.post(
    "/score/batch",
    **described("/score/batch", BatchRequest, BatchReply, BatchColumnsReply, faults=FAULTS),
)
async def batch(request: Request) -> Response:
    """Score several queries' candidates against one snapshot of the catalogue."""
    forms = in_experiments(request, {BatchRequest: batch_reply})
    return await answer_one_of(request, forms, service_of(request).scoring)
