"""POST /explain: why one pair scores as it does."""

from fastapi import APIRouter, Request, Response

from service.explain import explain_reply
from service.routes.request import described, faults, open_of, read_body, reply_from_thread
from service.schemas import ExplainReply, ExplainRequest

router = APIRouter()
DESCRIPTION = described("/explain", ExplainRequest, ExplainReply)
DESCRIPTION["responses"] |= faults(404)


@router.post("/explain", **DESCRIPTION)
async def explain(request: Request) -> Response:
    """Explain a pair: each query token's share of the score, and the teacher's reasons."""
    opened = open_of(request)
    body = await read_body(request, ExplainRequest)
    return await reply_from_thread(explain_reply, opened.serving, body, opened.explaining)
