"""Probes: /livez, /readyz, /health. They read what is known and compute nothing.

/livez says that the process answers, /readyz whether traffic should come here; /health is /readyz
with details. All are open to everybody.
"""

from fastapi import APIRouter, Request, Response

from service.routes.status import described, opened, reply
from service.serving import item_count
from service.wire_status import Alive, HealthReply, Readiness

router = APIRouter(tags=["health"])


@router.get("/livez", **described(Alive))
async def livez(request: Request) -> Response:
    """Say that the process answers."""
    return reply(Alive())


@router.get("/readyz", **described(Readiness, not_ready=Readiness))
async def readyz(request: Request) -> Response:
    """Say whether traffic should come here; 503 while starting, draining or when a check failed."""
    reason = opened(request).lifecycle.not_ready
    return reply(Readiness(reason is None, reason), status=503 if reason else 200)


@router.get("/health", **described(HealthReply, not_ready=HealthReply))
async def health(request: Request) -> Response:
    """Say how this worker fares and what it answers from; 503 where it is not ready."""
    service = opened(request)
    lifecycle, snapshot = service.lifecycle, service.snapshot
    reason = lifecycle.not_ready
    degraded = (*lifecycle.degraded, *service.experiments.degraded)
    return reply(
        HealthReply(
            status="not_ready" if reason else "degraded" if degraded else "ok",
            reason=reason,
            bundle=snapshot.bundle.bundle_id,
            generation=snapshot.items.generation_id,
            sequence=snapshot.items.sequence,
            items=item_count(snapshot.items),
            degraded=list(degraded),
            checked_seconds_ago=round(lifecycle.check.age, 3),
            queue_depth=service.queues.scoring.depth,
        ),
        status=503 if reason else 200,
    )
