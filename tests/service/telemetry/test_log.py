import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.settings import Settings
from service.telemetry.line_writer import LineWriter
from service.telemetry.log import JsonLines, RequestLog
from service.telemetry.observed import Observed, current
from service.work import Stage, Work

SECRET = "gift for my secret love"


@contextmanager
def lines_of(logger: str = "service") -> Iterator[list[dict]]:
    stream, found = io.StringIO(), []
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield found
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        found += [json.loads(line) for line in stream.getvalue().splitlines()]


def observed(*, status: int = 200) -> Observed:
    work = Work(seconds={Stage.SCORE: 0.0012})
    work.statuses["ok"] += 3
    return Observed(
        "abc", "/score", "POST", None, status=status, seconds=0.0051, client="shop", work=work
    )


def settings(**changes) -> Settings:
    return Settings(store=Path("s"), log_hash_key="key", **changes)


def written(made: Settings, *, query: str | None = SECRET, status: int = 200) -> list[dict]:
    lines: list[bytes] = []
    log = RequestLog(made, writer=LineWriter(lines.append))
    log.write(observed(status=status), query)
    log.close()
    return [json.loads(line) for line in b"".join(lines).splitlines()]


def test_a_request_is_one_json_line_with_its_stages_and_its_query_hashed() -> None:
    (line,) = written(settings())

    assert line["message"] == "POST /score 200"
    assert (line["status"], line["milliseconds"], line["client"]) == (200, 5.1, "shop")
    assert line["stages"] == {"score": 1.2}
    assert line["candidates"] == {"ok": 3}
    assert line["query"].startswith("#")
    assert SECRET not in json.dumps(line)


def test_equal_queries_have_equal_hashes_under_one_key_only() -> None:
    def hashed(query: str, key: str) -> str:
        made = Settings(store=Path("s"), log_hash_key=key)
        return written(made, query=query)[0]["query"]

    assert hashed("red shoe", "a") == hashed("red shoe", "a")
    assert hashed("red shoe", "a") != hashed("red shoes", "a")
    assert hashed("red shoe", "a") != hashed("red shoe", "b")
    assert hashed("\ud800", "a")  # whatever a client manages to send


def test_queries_are_shown_or_left_out_where_asked_for() -> None:
    assert written(settings(log_queries="plain"))[0]["query"] == SECRET
    assert "query" not in written(settings(log_queries="none"))[0]


@pytest.mark.parametrize(
    ("which", "status", "lines"),
    [("all", 200, 1), ("errors", 200, 0), ("errors", 422, 1), ("none", 500, 0)],
)
def test_only_the_requests_asked_for_are_written(which, status, lines) -> None:
    assert len(written(settings(log_requests=which), status=status)) == lines


def test_every_line_written_while_a_request_runs_carries_its_id_and_faults_their_trace() -> None:
    token = current.set(observed())
    try:
        with lines_of() as lines:
            try:
                raise ValueError("broken")
            except ValueError:
                logging.getLogger("service.somewhere").exception("it failed")
    finally:
        current.reset(token)

    (line,) = lines
    assert (line["level"], line["request_id"]) == ("error", "abc")
    assert "ValueError: broken" in line["exception"]


def test_a_reader_that_stands_still_holds_nobody_up_and_the_newest_lines_are_dropped() -> None:
    stands, written = threading.Event(), []

    def write(lines: bytes) -> None:
        stands.wait(60)
        written.append(lines)

    writer = LineWriter(write, most_waiting=3)
    for number in range(10):
        writer.put(b"%d\n" % number)
    assert writer.dropped >= 6  # all but three, and those the thread had taken before
    stands.set()
    writer.close()

    kept = b"".join(written).split()
    assert kept == [b"%d" % number for number in range(len(kept))]
    assert len(kept) == 10 - writer.dropped


def test_lines_that_come_together_are_written_together() -> None:
    written: list[bytes] = []
    writer = LineWriter(written.append)
    for number in range(500):
        writer.put(b"%d\n" % number)
    writer.close()

    assert b"".join(written).split() == [b"%d" % number for number in range(500)]
    assert len(written) < 50
