"""The outermost middleware: every request gets an id, is counted, timed, logged and traced.

It also answers faults nobody expected, so that the reply carries the id its log line has. What is
measured inside a request comes from the route's `Work`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.replies import error_reply
from service.telemetry.log import RequestLog
from service.telemetry.metrics import Metrics
from service.telemetry.observed import Observed, current, observed_of
from service.telemetry.traces import Traces

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where everything observed goes."""

    metrics: Metrics
    requests: RequestLog
    traces: Traces

    def close(self) -> None:
        """Count and send what waits for it."""
        self.metrics.flush()
        self.traces.close()
        self.requests.close()


class Observation:
    """ASGI middleware; there is no `telemetry()` before the service is open.

    While `is_draining()`, replies ask for the connection to be closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        telemetry: Callable[[], Telemetry | None],
        is_draining: Callable[[], bool],
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and watch what becomes of it."""
        telemetry = self._telemetry()
        if scope["type"] != "http" or telemetry is None:
            await self._app(scope, receive, send)
            return
        observed = observed_of(scope)
        token = current.set(observed)
        telemetry.metrics.begun()
        sending = self._watching(telemetry, observed, send)
        try:
            await self._app(scope, receive, sending)
        except Exception:
            log.exception("a fault while answering %s", observed.route)
            if observed.status:
                raise  # the reply has begun: the connection has to break
            message = "a fault in the service; its log says more"
            reply = error_reply(500, "internal", message, path=scope["path"])
            await reply(scope, receive, sending)
        finally:
            telemetry.metrics.ended()
            query = scope.get("state", {}).get("query_text")
            telemetry.requests.write(observed, query if isinstance(query, str) else None)
            telemetry.traces.ended(observed)
            current.reset(token)

    def _watching(self, telemetry: Telemetry, observed: Observed, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                observed.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers(observed)]
                telemetry.metrics.answering(observed)
            elif not message.get("more_body", False):
                observed.seconds = time.perf_counter() - observed.started
                telemetry.metrics.answered(observed)
            await send(message)

        return sending

    def _headers(self, observed: Observed) -> list[tuple[bytes, bytes]]:
        request_id = (b"x-request-id", observed.request_id.encode())
        return [request_id, (b"connection", b"close")] if self._is_draining() else [request_id]


class ObservedAdmission:
    """Writes what admission decides into the request under way (an `AdmissionObserver`)."""

    def client(self, name: str) -> None:
        """Who asks."""
        if (observed := current.get()) is not None:
            observed.client = name

    def waited(self, seconds: float) -> None:
        """How long the request stood in the queue."""
        if (observed := current.get()) is not None:
            observed.waited = seconds

    def refused(self, code: str) -> None:
        """The request was turned away."""
        if (observed := current.get()) is not None:
            observed.refused = code
