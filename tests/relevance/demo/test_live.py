import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from relevance.demo.live import Answers, median_milliseconds
from relevance.errors import Unavailable


class EchoingService(BaseHTTPRequestHandler):
    """Answers a POST with its own body, and everything else with an error."""

    protocol_version = "HTTP/1.1"
    asked: list[dict[str, object]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(json.loads(body))
        self._answer(200, body)

    def do_GET(self) -> None:
        self._answer(503, b'{"error": {"code": "not_ready"}}')

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def port() -> Iterator[int]:
    EchoingService.asked = []
    with HTTPServer(("127.0.0.1", 0), EchoingService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_latency_is_measured_over_requests_of_the_size_asked_for(port: int) -> None:
    answers = Answers(port)

    milliseconds = median_milliseconds(answers, ["a", "b"], ["1", "2", "3"], candidates=5)

    answers.close()
    assert milliseconds > 0
    assert all(len(asked["item_ids"]) == 5 for asked in EchoingService.asked)
    assert {asked["query"] for asked in EchoingService.asked} == {"a", "b"}


def test_an_error_status_is_unavailable_and_says_what_came(port: int) -> None:
    answers = Answers(port)

    with pytest.raises(Unavailable, match="GET /health: 503: .*not_ready"):
        answers.get("/health")
    answers.close()


def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="POST /score"):
        Answers(1).post("/score", {})
