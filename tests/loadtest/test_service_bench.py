import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bare_client import BareConnection
from loadtest.bench_commands import service_command
from loadtest.peer_commands import peers_command
from loadtest.processes import Server
from loadtest.service_bench import (
    PARTS,
    Calls,
    Interval,
    Latencies,
    Load,
    Plan,
    in_a_row,
    measure_latencies,
    ratio,
)
from loadtest.traffic import Traffic
from relevance.errors import BadGeneration, Unavailable
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle

TRAFFIC = Traffic({"desk": 5, "lamp": 1}, ["a", "b", "c"])
MILLISECONDS = st.lists(st.floats(0.1, 100), min_size=3, max_size=3)


@pytest.mark.parametrize("command", [service_command, peers_command])
def test_a_folder_without_a_generation_is_told_before_anything_is_started(
    command, tmp_path
) -> None:
    with pytest.raises(BadGeneration, match="expected a published generation"):
        command(store=tmp_path, data=tmp_path / "shop", rounds=1)


def test_every_new_query_is_one_never_asked_before() -> None:
    calls = Calls(TRAFFIC)

    queries = [calls.new(4).query for _ in range(100)]

    assert len(set(queries)) == 100
    assert json.loads(calls.new(4).body).keys() == {"query", "item_ids"}


def test_warm_queries_come_as_often_as_the_hit_rate_says() -> None:
    calls = Calls(TRAFFIC)

    asked = [calls.mixed(1, warm=["warm"], hit_rate=0.8).query for _ in range(2000)]

    assert 0.77 < asked.count("warm") / len(asked) < 0.83
    assert all(calls.mixed(1, warm=["warm"], hit_rate=0.0).query != "warm" for _ in range(50))


@given(service=MILLISECONDS, encode=MILLISECONDS, score=MILLISECONDS)
def test_a_ratio_is_taken_within_each_round(service, encode, score) -> None:
    rounds = {"service": service, "encode": encode, "score": score}

    found = ratio(rounds, ["service"], ["encode", "score"])

    within = [one / (a + b) for one, a, b in zip(service, encode, score, strict=True)]
    assert found.median == pytest.approx(sorted(within)[1])
    assert min(within) <= found.low <= found.median <= found.high <= max(within)


def test_a_round_keeps_its_median_wait_and_its_mean_work() -> None:
    latencies = Latencies(10)

    latencies.add("x", seconds=[0.001, 0.002, 0.009], cpu_seconds=0.006)

    assert latencies.waited["x"] == [2.0]
    assert latencies.worked["x"] == pytest.approx([2.0])
    assert Interval.of([2.0]) == Interval(2.0, 2.0, 2.0)


def test_pairs_are_counted_per_second_of_the_servers_cpu() -> None:
    load = Load("s", 0.0, 1000, requests=30, seconds=3.0, server_cpu=1.5, client_cpu=0.1)

    assert (load.pairs_per_cpu_second, load.pairs_per_second) == (20_000, 10_000)


def test_a_busy_process_costs_cpu_and_a_waiting_one_does_not() -> None:
    script = "import sys; sum(range(30_000_000)); print(); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        server = Server("x", 0, process.pid)

        worked = server.cpu_seconds()

        assert worked > 0.05
        assert server.cpu_seconds() - worked < worked / 2
    finally:
        process.communicate()


class CountingParts:
    """Takes longer in company: as many milliseconds a call as it was asked at once."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[object]]] = []

    def ask(self, question: dict[str, list[object]]) -> list[tuple[float, float]]:
        self.asked.append(question)
        at_once = len(next(iter(question.values())))
        return [(at_once / 1000, at_once / 500)] * at_once


def test_parts_are_timed_one_at_a_time_and_in_a_row() -> None:
    parts = CountingParts()

    found = measure_latencies([], parts, Calls(TRAFFIC), Plan(rounds=2, requests=5))  # type: ignore[arg-type]

    for latencies in found:
        assert latencies.waited == {
            name: pytest.approx([milliseconds] * 2)
            for part in PARTS
            for name, milliseconds in ((part, 1), (in_a_row(part), 5))
        }
        assert latencies.worked["encode"] == pytest.approx([2, 2])
    lists = [question["score"] for question in parts.asked if "score" in question]
    assert {len(ids) for each in lists for ids in each} == {100, 1000}  # type: ignore[arg-type]


class ScriptedServer:
    """Answers each request with the next pieces of bytes."""

    def __init__(self, *answers: list[bytes]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[list[bytes], ...]) -> None:
        connection, _ = self._listening.accept()
        with connection, self._listening:
            for pieces in answers:
                self.received.append(connection.recv(1 << 16))
                for piece in pieces:
                    connection.sendall(piece)

    def join(self) -> None:
        self._thread.join(10)


def test_a_bare_connection_reads_replies_however_they_are_cut() -> None:
    server = ScriptedServer(
        [b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 6\r\n\r\nab", b"cd", b"ef"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno"],
    )

    with BareConnection(server.port) as connection:
        first, second = connection.post("/x", b"12"), connection.post("/x", b"")
        with pytest.raises(Unavailable, match="/x: status 503: b'no'"):
            connection.post("/x", b"")

    server.join()
    assert (first, second) == (b"abcdef", b"")
    assert server.received[0].endswith(b"content-length: 2\r\n\r\n12")


def test_a_reply_that_breaks_off_is_told() -> None:
    server = ScriptedServer([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])

    with (
        BareConnection(server.port) as connection,
        pytest.raises(Unavailable, match="closed before the reply ended"),
    ):
        connection.post("/x", b"")

    server.join()


@pytest.mark.slow
def test_the_bench_measures_service_parts_and_peer(tmp_path: Path) -> None:
    bundle, store, data = tmp_path / "bundle", tmp_path / "store", tmp_path / "shop"
    make_bundle(bundle)
    write_catalogue(tmp_path / "shop_items.jsonl", CATALOGUE)
    (tmp_path / "shop_pairs.csv").write_text("query,item_id,label\nred lamp,B001,Good\n")
    refresh(bundle=bundle, items=tmp_path / "shop_items.jsonl", store=store)
    options = ["--store", store, "--data", data, "--out", tmp_path / "bench"]

    subprocess.run(
        [sys.executable, "-m", "relevance", "bench", "service", *map(str, options)]
        + ["--rounds", "2", "--load-seconds", "0.5"],
        check=True,
        env={**os.environ, "ELLM_MAX_WAIT_MS": "60000"},
    )

    measured = json.loads((tmp_path / "bench" / "service.json").read_text())
    timed = {"service", "bare", "peer", *PARTS, *map(in_a_row, PARTS)}
    assert all(one["waited"].keys() == timed for one in measured["latencies"])
    assert all(
        np.isfinite(v).all() for one in measured["latencies"] for v in one["worked"].values()
    )
    assert {(one["server"], one["hit_rate"]) for one in measured["loads"]} == {
        (server, rate) for server in ("service", "peer") for rate in (0.0, 0.8)
    }
    assert all(one["requests"] > 0 for one in measured["loads"])
