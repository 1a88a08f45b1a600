"""Operators' routes: /admin/reload and /admin/workers. Open on loopback, else with an admin key."""

import time

from fastapi import APIRouter, Request, Response

from service.routes.status import described, opened, reply
from service.run_folder import WorkerState
from service.wire_status import WorkerInfo, WorkersReply

FAULTS = (401, 403, 503)
router = APIRouter(prefix="/admin", tags=["admin"])


@router.post("/reload", **described(WorkersReply, faults=FAULTS))
async def reload(request: Request) -> Response:
    """Have every worker look at CURRENT anew, as SIGHUP does, and say what became of each."""
    return reply(_shown(await opened(request).lifecycle.reload()))


@router.get("/workers", **described(WorkersReply, faults=FAULTS))
async def workers(request: Request) -> Response:
    """Say what each worker answers from."""
    return reply(_shown(opened(request).lifecycle.run.states()))


def _shown(states: tuple[WorkerState, ...]) -> WorkersReply:
    pairs = {(state.bundle, state.generation, state.sequence) for state in states}
    return WorkersReply(agree=len(pairs) <= 1, workers=[_info(state) for state in states])


def _info(state: WorkerState) -> WorkerInfo:
    return WorkerInfo(
        process_id=state.process_id,
        phase=state.phase,
        ready=state.ready,
        bundle=state.bundle,
        generation=state.generation,
        sequence=state.sequence,
        refused=state.refused,
        degraded=list(state.degraded),
        nudge=state.nudge,
        seen_seconds_ago=round(time.time() - state.seen, 3),
    )
