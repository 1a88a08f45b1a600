"""A teacher that answers at once, slowly, or with rubbish, to see what the service makes of it.

    python -m loadtest.stand_in_teacher PORT

It speaks as much of the OpenAI API as the service asks for: `POST /v1/chat/completions`. `POST
/pace` with seconds as its body says how long it waits before each answer from then on. Its chain
of thought is always the same: what the teacher says is not what is measured.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from relevance.chain_of_thought import render
from relevance.domain import ChainOfThought, Label

THOUGHT = render(ChainOfThought((), Label.GOOD))


class StandIn(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    pace_s = 0.0

    def do_GET(self) -> None:
        """Say that it is there."""
        self._reply({"data": [{"id": "stand-in", "object": "model"}]})

    def do_POST(self) -> None:
        """Answer, or change the pace."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/pace":
            StandIn.pace_s = float(body)
            self._reply({})
            return
        time.sleep(StandIn.pace_s)
        message = {"role": "assistant", "content": THOUGHT}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._reply({"object": "chat.completion", "model": "stand-in", "choices": [choice]})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _reply(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer.allow_reuse_address = True
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), StandIn).serve_forever()
