"""OpenTelemetry traces: a span per request and one per stage, made when the request has ended.

The hot path only keeps times, so requests that nobody traces cost nothing. W3C `traceparent`
decides whether a request belongs to its sender's trace. The SDK is an extra, imported only where a
collector is named.
"""

from typing import TYPE_CHECKING, Protocol

from relevance.errors import Unavailable
from service.settings import Settings
from service.telemetry.observed import Observed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE_NAME = "ellm-relevance"
HINT = "hint: pip install 'ellm-mkd[tracing]'"


class Traces(Protocol):
    """Takes each request that has ended."""

    def ended(self, observed: Observed) -> None:
        """Make its spans."""
        ...

    def close(self) -> None:
        """Send what waits to be sent."""
        ...


class Untraced:
    """No collector, no spans."""

    def ended(self, observed: Observed) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing waits."""


class OpenTelemetryTraces:
    """Spans handed to a provider, in nanoseconds since the epoch."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("service")
        self._propagator = TraceContextTextMapPropagator()

    def ended(self, observed: Observed) -> None:
        """A server span, and a child for each stage one after the other, as they were run."""
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        carrier = {} if observed.trace_parent is None else {"traceparent": observed.trace_parent}
        start = int(observed.started_at * 1e9)
        span = self._tracer.start_span(
            f"{observed.method} {observed.route}",
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": observed.method,
                "http.route": observed.route,
                "http.response.status_code": observed.status,
                "relevance.request_id": observed.request_id,
            },
            start_time=start,
        )
        if observed.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        inside, at = set_span_in_context(span), start
        for name, seconds in _stages(observed):
            child = self._tracer.start_span(name, context=inside, start_time=at)
            at += int(seconds * 1e9)
            child.end(at)
        span.end(start + int(observed.seconds * 1e9))

    def close(self) -> None:
        """Send what waits to be sent."""
        self._provider.shutdown()


def open_traces(settings: Settings, exporter: "SpanExporter | None" = None) -> Traces:
    """Traces to the collector the settings name; raises `Unavailable` without the extra."""
    if not settings.otlp_endpoint and exporter is None:
        return Untraced()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ModuleNotFoundError as fault:
        raise Unavailable(f"otlp_endpoint: traces need `{fault.name}`\n{HINT}") from fault
    provider = TracerProvider(
        resource=Resource.create({"service.name": SERVICE_NAME}),
        sampler=ParentBased(TraceIdRatioBased(settings.trace_sample)),
    )
    endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint)))
    return OpenTelemetryTraces(provider)


def _stages(observed: Observed) -> list[tuple[str, float]]:
    stages = [("queue", observed.waited)] if observed.waited else []
    if observed.work is not None:
        stages += [(str(stage), seconds) for stage, seconds in observed.work.seconds.items()]
    return stages
