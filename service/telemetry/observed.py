"""One request as telemetry sees it, from its first byte to its last.

Filled by the middleware, by admission and by the route's `Work`; read by metrics, log and traces.
"""

import re
import secrets
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import Scope

from service.work import Work

ROUTES = frozenset(
    (
        *("/score", "/score/batch", "/explain", "/search", "/rerank", "/v1/rerank", "/v2/rerank"),
        "/v1/score",
        *("/", "/info", "/v1/models", "/livez", "/readyz", "/health", "/metrics"),
        *("/admin/reload", "/admin/workers", "/docs", "/redoc", "/openapi.json"),
    )
)
OTHER = "other"  # one label for all that anybody may type
SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class Observed:
    """A request under way; `started` is monotonic seconds, `started_at` seconds since the epoch."""

    request_id: str
    route: str
    method: str
    trace_parent: str | None
    started: float = field(default_factory=time.perf_counter)
    started_at: float = field(default_factory=time.time)
    status: int = 0
    seconds: float = 0.0
    client: str = ""
    waited: float = 0.0
    refused: str | None = None
    work: Work | None = None


current: ContextVar[Observed | None] = ContextVar("current_request", default=None)


def observed_of(scope: Scope) -> Observed:
    """The request a scope describes, with the id its sender gave it or a new one."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    given = dict(headers)
    sent_id = given.get(b"x-request-id", b"")
    parent = given.get(b"traceparent")
    path: str = scope["path"]
    return Observed(
        request_id=sent_id.decode() if SAFE_ID.fullmatch(sent_id) else secrets.token_hex(8),
        route=path if path in ROUTES else OTHER,
        method=scope["method"],
        trace_parent=None if parent is None else parent.decode("latin-1"),
    )
