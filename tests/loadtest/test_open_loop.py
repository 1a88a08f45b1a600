import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.open_loop import NO_ANSWER, Request, Target, drive, lasting, send


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; slowly, or by hanging up, where the body says so."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"slow":
            time.sleep(0.2)
        if body == b"hang up":
            self.close_connection = True
            return
        self.send_response(429 if body == b"busy" else 200)
        self.send_header("content-length", str(len(body)))
        if body == b"last":
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def echoing() -> Iterator[Target]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Target("127.0.0.1", server.server_port)
        finally:
            server.shutdown()
            thread.join()


def test_every_request_has_its_answer_in_order() -> None:
    bodies = [b"%d" % number for number in range(30)]

    with echoing() as target:
        answers = drive(target, bodies, per_second=1000, lanes=3)

    assert [(answer.number, answer.status) for answer in answers] == [(n, 200) for n in range(30)]
    assert [answer.body for answer in answers] == bodies


def test_statuses_and_broken_connections_are_told_apart_and_the_lane_goes_on() -> None:
    bodies = [b"a", b"busy", b"hang up", b"b", b"last", b"c"]

    with echoing() as target:
        answers = drive(target, bodies, per_second=1000, lanes=1)

    assert [answer.status for answer in answers] == [200, 429, NO_ANSWER, 200, 200, 200]


def test_waiting_for_a_slow_answer_counts_against_the_ones_behind_it() -> None:
    with echoing() as target:
        slow, behind = drive(target, [b"slow", b"quick"], per_second=1000, lanes=1)

    assert slow.seconds >= 0.2
    assert behind.due < slow.ended
    assert behind.seconds >= 0.19


def test_a_stopped_load_sends_no_more() -> None:
    with echoing() as target:
        assert drive(target, [b"a"] * 5, per_second=1000, stopped=lambda: True) == []


def test_requests_are_sent_when_they_are_due_whatever_the_service_does() -> None:
    with echoing() as target:
        answers = drive(target, [b"slow"] * 8, per_second=40, lanes=8)

    assert [answer.due - answers[0].due for answer in answers] == pytest.approx(
        [number / 40 for number in range(8)]
    )
    assert all(answer.sent >= answer.due for answer in answers)
    assert all(answer.seconds >= answer.seconds_since_sent for answer in answers)


def test_a_closed_loops_view_leaves_out_the_wait_for_a_free_lane() -> None:
    with echoing() as target:
        _, behind = drive(target, [b"slow", b"quick"], per_second=1000, lanes=1)

    assert behind.sent - behind.due >= 0.19
    assert behind.seconds - behind.seconds_since_sent == pytest.approx(behind.sent - behind.due)


def test_requests_keep_their_kind_and_are_made_while_others_are_under_way() -> None:
    made = (Request("/x", b"%d" % number, f"kind {number % 2}") for number in count())
    end = threading.Event()
    threading.Timer(0.2, end.set).start()

    with echoing() as target:
        answers = send(target, made, per_second=100, lanes=2, stopped=end.is_set, keep_bodies=False)

    assert 2 < len(answers) < 100
    assert [answer.kind for answer in answers] == [f"kind {n % 2}" for n in range(len(answers))]
    assert {answer.body for answer in answers} == {b""}


@given(seconds=st.floats(0.01, 5), per_second=st.floats(0.5, 50))
def test_a_stretch_has_as_many_requests_as_its_rate_and_length_say(seconds, per_second) -> None:
    made = lasting(repeat(Request("/x", b"")), seconds=seconds, per_second=per_second)

    assert abs(len(made) - seconds * per_second) <= 0.5
