"""POST /score: how well each candidate answers the query."""

from fastapi import APIRouter, Request, Response

from service.routes.request import described, open_of, read_body, reply_from_thread
from service.schemas import ScoreReply, ScoreRequest
from service.score import score_reply

router = APIRouter()


@router.post("/score", **described("/score", ScoreRequest, ScoreReply))
async def score(request: Request) -> Response:
    """Score cached items by id, items sent along, or both, from the best to the worst."""
    opened = open_of(request)
    body = await read_body(request, ScoreRequest)
    return await reply_from_thread(score_reply, opened.serving, body, opened.scoring)
