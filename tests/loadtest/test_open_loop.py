import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loadtest.open_loop import NO_ANSWER, Target, drive


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
