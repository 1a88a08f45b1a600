from pathlib import Path

import pytest
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


def test_without_a_collector_nothing_is_traced() -> None:
    traces = open_traces(Settings(store=Path("s")))

    assert isinstance(traces, Untraced)
    traces.ended(observed())
    traces.close()
