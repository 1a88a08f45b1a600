"""GET /metrics: Prometheus' numbers of all workers. Open on loopback, else with a metrics key."""

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.openapi import refusals
from service.routes.status import opened

DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    **refusals(401, 403, 503),
}
router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_model=None, responses=DESCRIBED)
async def metrics(request: Request) -> Response:
    """All workers' metrics in Prometheus' text format."""
    service = opened(request)
    service.telemetry.flush()
    text = await to_thread.run_sync(service.telemetry.text)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
