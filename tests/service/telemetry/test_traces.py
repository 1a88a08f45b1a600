import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.settings import Settings
from service.telemetry.observed import Observed
from service.telemetry.traces import Untraced, open_traces
from service.work import Stage, Work

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def observed(*, parent: str | None = None, status: int = 200) -> Observed:
    work = Work(seconds={Stage.ENCODE: 0.002, Stage.SCORE: 0.001})
    return Observed(
        "abc", "/score", "POST", parent, status=status, seconds=0.004, waited=0.0005, work=work
    )


def spans_of(*requests: Observed, sample: float = 1.0):
    exporter = InMemorySpanExporter()
    traces = open_traces(Settings(store=Path("s"), trace_sample=sample), exporter)
    for request in requests:
        traces.ended(request)
    traces.close()
    return exporter.get_finished_spans()


def test_a_request_has_a_span_and_each_stage_one_inside_it() -> None:
    *stages, root = spans_of(observed())

    assert root.name == "POST /score"
    assert root.attributes["http.response.status_code"] == 200
    assert root.end_time - root.start_time == pytest.approx(4_000_000, abs=1000)
    assert [stage.name for stage in stages] == ["queue", "encode", "score"]
    assert all(stage.parent.span_id == root.context.span_id for stage in stages)
    for before, after in zip(stages, stages[1:], strict=False):
        assert after.start_time == before.end_time
    assert stages[1].end_time - stages[1].start_time == pytest.approx(2_000_000, abs=1000)


def test_a_request_joins_the_trace_of_its_sender_who_also_decides_whether_it_is_kept() -> None:
    kept = spans_of(observed(parent=f"00-{TRACE}-{PARENT}-01"), sample=0.0)
    dropped = spans_of(observed(parent=f"00-{TRACE}-{PARENT}-00"), sample=1.0)

    assert {f"{span.context.trace_id:032x}" for span in kept} == {TRACE}
    assert f"{kept[-1].parent.span_id:016x}" == PARENT
    assert dropped == ()


def test_a_malformed_parent_is_no_parent() -> None:
    *_, root = spans_of(observed(parent="00-nonsense"))

    assert root.parent is None


def test_a_failed_request_is_marked() -> None:
    *_, root = spans_of(observed(status=500))

    assert not root.status.is_ok


def test_spans_reach_a_collector_over_http() -> None:
    with collecting() as (url, received):
        traces = open_traces(Settings(store=Path("s"), otlp_endpoint=url, trace_sample=1.0))
        traces.ended(observed())
        traces.close()

    ((path, body),) = received
    (of_service,) = ExportTraceServiceRequest.FromString(body).resource_spans
    names = [span.name for scope in of_service.scope_spans for span in scope.spans]
    attributes = {one.key: one.value.string_value for one in of_service.resource.attributes}
    assert path == "/v1/traces"
    assert names == ["queue", "encode", "score", "POST /score"]
    assert attributes["service.name"] == "ellm-relevance"


@contextmanager
def collecting() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_packed = self.headers.get("content-encoding") == "gzip"
            received.append((self.path, gzip.decompress(body) if is_packed else body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_without_a_collector_nothing_is_traced() -> None:
    traces = open_traces(Settings(store=Path("s")))

    assert isinstance(traces, Untraced)
    traces.ended(observed())
    traces.close()
