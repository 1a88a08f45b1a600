"""The drill, run as an operator runs it; and its verdict, which must be able to say no."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.open_loop import Answer
from tests.service.live_service import free_port
from tests.service.make_bundle import WORDS, make_bundle

ITEMS = 600
SECONDS = 1800  # five minutes by itself; a shared machine may stand still


def load_module() -> ModuleType:
    """deploy/drill/load.py: a script's neighbour, no package's."""
    spec = importlib.util.spec_from_file_location("drill_load", "deploy/drill/load.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["drill_load"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


load = load_module()


def reply(score: float = 0.5, **other: object) -> dict:
    row = {"id": "a", "score": score, "status": "ok"}
    return {"results": [row], "generation": "1", "sequence": 0, "degraded": []} | other


def answer(body: dict, *, status: int = 200, due: float = 1.0) -> Answer:
    return Answer(0, due, due + 0.01, status, json.dumps(body).encode(), "0")


@pytest.mark.parametrize(
    ("given", "failed", "wrong"),
    [
        (answer(reply()), 0, 0),
        (answer(reply(sequence=7, degraded=["redis_unavailable"])), 0, 0),
        (answer(reply(score=0.5000000001)), 0, 1),
        (answer(reply(generation="2")), 0, 1),
        (answer(reply(), status=0), 1, 0),
        (answer(reply(), status=503), 1, 0),
    ],
)
def test_a_reply_that_failed_or_differs_in_a_bit_is_counted(
    given: Answer, failed: int, wrong: int
) -> None:
    """Only how a replica fares may differ from the witness's answer."""
    known = load.Known()
    known.learn(0, reply())

    (found,) = load.judged([given], [load.Step("s", 0, 2)], known)

    assert (found.requests, found.failed, found.wrong) == (1, failed, wrong)


def test_an_answer_counts_for_the_step_it_was_due_in() -> None:
    """Steps follow one another without a gap or an overlap."""
    known = load.Known()
    known.learn(0, reply())
    answers = [answer(reply(), due=due) for due in (0.5, 1.0, 1.5, 2.0)]

    found = load.judged(answers, [load.Step("a", 0, 1), load.Step("b", 1, 2)], known)

    assert [one.requests for one in found] == [1, 2]


def test_an_encoded_row_is_right_when_its_score_is() -> None:
    """Text encoded for a request gives the stored row's bits, and is counted."""
    known = load.Known()
    known.learn(0, reply())
    row = {"id": "a", "score": 0.5, "status": "encoded"}

    (found,) = load.judged([answer(reply(results=[row]))], [load.Step("s", 0, 2)], known)

    assert (found.wrong, found.encoded) == (0, 1)


@pytest.mark.slow
@pytest.mark.network
def test_restarts_rollouts_and_losses_under_load_fail_no_request(tmp_path: Path) -> None:
    """Two replicas, Redis, refresh and HAProxy as processes; every reply compared."""
    make_bundle(tmp_path / "one", seed=0)
    make_bundle(tmp_path / "two", seed=1)
    titles = [
        " ".join(WORDS[(at * step + at // step) % len(WORDS)] for step in (1, 2, 3, 5)) + f" {at}"
        for at in range(ITEMS)
    ]
    table = pa.table({"item_id": [f"i{at}" for at in range(ITEMS)], "title": titles})
    pq.write_table(table, tmp_path / "items.parquet")
    words = ["--bundle", tmp_path / "one", "--next-bundle", tmp_path / "two"]
    words += ["--items", tmp_path / "items.parquet", "--out", tmp_path / "out"]

    done = subprocess.run(
        [sys.executable, "deploy/drill", *map(str, words), "--port", str(free_port())],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["step"]: one for one in json.loads((tmp_path / "out/drill.json").read_text())}
    assert len(found) == 10
    assert all(one["requests"] > 20 for one in found.values())
    assert all(one["failed"] == one["wrong"] == 0 for one in found.values())
    assert found["Redis killed"]["degraded"] > 0
    sys.stdout.write(done.stdout)
