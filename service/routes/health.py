"""GET /health: whether the service answers, and with what."""

from fastapi import APIRouter, Request, Response

from service.replies import json_reply
from service.routes.request import faults, open_of
from service.schemas import HealthReply
from service.score import provenance

router = APIRouter()


@router.get("/health", response_model=None, responses={200: {"model": HealthReply}, **faults(503)})
async def health(request: Request) -> Response:
    """Say what is being served; 503 until everything is open. Computes nothing."""
    serving = open_of(request).serving
    items = len(serving.items.token_counts)
    return json_reply({"status": "ok", "items": items, **provenance(serving)})
