import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.fair_queue import FairQueue
from service.run_folder import RunFolder
from service.telemetry import metrics
from service.telemetry.metrics import SECONDS, Metrics
from service.telemetry.observed import Observed
from service.work import Stage, Work
from tests.service.conftest import FEW

ROOT = Path(__file__).resolve().parents[3]
# A worker that counts two answered requests, says so, and waits to be killed or left.
WORKER = """
import pathlib, sys
from service.run_folder import RunFolder
from service.telemetry.metrics import Metrics
from service.telemetry.observed import Observed
metrics = Metrics(RunFolder(pathlib.Path(sys.argv[1])))
for _ in range(2):
    metrics.answering(Observed("id", "/score", "POST", None, status=200))
metrics.begun()
metrics.flush()
print("counted", flush=True)
sys.stdin.read()
"""


def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.make()
    return run


def values(text: bytes) -> dict[str, float]:
    """Each sample's value by name and labels."""
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def work(**changes) -> Work:
    made = Work(
        seconds={Stage.ENCODE: 0.002, Stage.SCORE: 0.00015},
        cache_misses=1,
        statuses=Counter(ok=2, missing=1),
        scores=[np.array([0.05, 0.95])],
        degraded=("numpy_scorer",),
        teacher="timeout",
        asked=Counter({"llm timeout": 1, "catalogue ok": 1}),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_what_a_request_took_is_counted_at_the_next_flush(tmp_path) -> None:
    counted = Metrics(folder(tmp_path))
    observed = Observed("id", "/score", "POST", None, status=200, seconds=0.003, work=work())
    counted.begun()
    counted.record("/score", work())
    counted.answering(observed)
    counted.answered(observed)

    before = values(counted.text())
    counted.flush()
    after = values(counted.text())

    assert before["relevance_requests_total route=/score status=200"] == 1
    assert "relevance_query_cache_total outcome=miss" not in before
    assert after["relevance_query_cache_total outcome=miss"] == 1
    assert after["relevance_candidates_total status=missing"] == 1
    assert after["relevance_degraded_total reason=numpy_scorer"] == 1
    assert after["relevance_teacher_total state=timeout"] == 1
    assert after["relevance_teacher_asked_total state=timeout teacher=llm"] == 1
    assert after["relevance_teacher_asked_total state=ok teacher=catalogue"] == 1
    assert after["relevance_stage_seconds_bucket le=0.00018 stage=score"] == 1
    assert after["relevance_stage_seconds_bucket le=0.0001 stage=score"] == 0
    assert after["relevance_request_seconds_count route=/score"] == 1
    assert after["relevance_score_bucket le=0.1"] == 1
    assert after["relevance_score_count"] == 2
    assert after["relevance_in_flight"] == 1


@FEW
@given(seconds=st.lists(st.floats(0, 20) | st.sampled_from(SECONDS), max_size=30))
def test_many_values_at_once_are_counted_as_one_by_one(seconds) -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    one, many = (Histogram("h", "h", buckets=SECONDS, registry=made) for made in registries)

    for value in seconds:
        one.observe(value)
    metrics.observe_many(many, np.array(seconds))

    expected, found = (values(generate_latest(made)) for made in registries)
    assert found.pop("h_sum") == pytest.approx(expected.pop("h_sum"))
    assert found == expected


def test_stages_are_told_apart_from_a_tenth_of_a_millisecond_on() -> None:
    assert SECONDS[0] == 0.0001
    assert all(1.7 < high / low < 3.3 for low, high in zip(SECONDS, SECONDS[1:], strict=False))


def test_queues_and_updates_are_shown_as_they_stand(tmp_path) -> None:
    counted = Metrics(folder(tmp_path))
    queue = FairQueue(slots=2, waiting=8, max_wait=1)
    queue.running, queue.depth = 2, 5

    counted.watch_queue("scoring", queue)
    for followed, refused in ((1, 0), (3, 1), (3, 1)):
        counted.updated(followed=followed, refused=refused)

    for lost in (0, 4, 4):
        counted.lost_lines(lost)

    shown = values(counted.text())
    assert shown["relevance_log_lines_lost_total"] == 4
    assert shown["relevance_queue_depth queue=scoring"] == 5
    assert shown["relevance_queue_running queue=scoring"] == 2
    assert shown["relevance_updates_total outcome=followed"] == 3
    assert shown["relevance_updates_total outcome=refused"] == 1


@pytest.mark.slow
def test_a_killed_workers_counts_stay_and_its_gauges_go(tmp_path) -> None:
    run = folder(tmp_path)
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(run.counters)}

    def started() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(run.root)]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        return process

    def scraped() -> dict[str, float]:
        code = (
            "import pathlib, sys; from service.run_folder import RunFolder;"
            "from service.telemetry.metrics import Metrics;"
            "sys.stdout.buffer.write(Metrics(RunFolder(pathlib.Path(sys.argv[1]))).text())"
        )
        command = [sys.executable, "-c", code, str(run.root)]
        return values(subprocess.check_output(command, cwd=ROOT, env=environment))

    requests = "relevance_requests_total route=/score status=200"
    with started() as first, started() as second:
        both = scraped()
        first.send_signal(signal.SIGKILL)
        first.wait()
        run.forget(first.pid)
        one = scraped()
        with started() as replacement:
            again = scraped()
            replacement.kill()
        second.kill()

    assert (both[requests], one[requests], again[requests]) == (4, 4, 6)
    assert [shown["relevance_in_flight"] for shown in (both, one, again)] == [2, 1, 2]
    assert all(again[name] >= both[name] for name in both if name.endswith(("_total", "_bucket")))


def test_no_label_can_hold_what_a_client_sends(tmp_path) -> None:
    counted = Metrics(folder(tmp_path))
    secret = "red shoes for my wife"
    observed = Observed("id", "other", "POST", None, status=404, client=secret)
    counted.answering(observed)
    counted.answered(observed)
    counted.record(f"/{secret}", work())
    counted.flush()

    assert secret not in counted.text().decode()


def test_the_waits_of_changes_are_counted_once(tmp_path) -> None:
    counted, lags = Metrics(folder(tmp_path)), [0.02, 0.4]

    counted.became_visible(lags)
    counted.became_visible(lags)

    told = values(counted.text())
    assert told["relevance_delta_visible_seconds_count"] == 2
    assert told["relevance_delta_visible_seconds_sum"] == pytest.approx(0.42)
    assert lags == []
