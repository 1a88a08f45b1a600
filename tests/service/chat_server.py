"""A real HTTP server that speaks the OpenAI chat shape as vLLM does, well or badly on demand.

It writes one chain of thought, whatever is asked; how it behaves can be changed between requests.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from relevance.chain_of_thought import ITEM_HEADING, JUDGEMENT_HEADING, render
from relevance.domain import AspectFinding, ChainOfThought, Label, Verdict

PIECE = 7  # characters of a streamed piece
PATIENCE_S = 180.0  # nothing here waits longer, so no test hangs
THOUGHT = ChainOfThought(
    (
        AspectFinding("product", "bottle", "bottle", Verdict.MATCH),
        AspectFinding("color", "blue", "red", Verdict.MISMATCH),
    ),
    Label.BAD,
    "color",
)


class Manner(Enum):
    """How a request is answered."""

    FINE = auto()
    HANGING = auto()  # takes the request and says nothing
    DRIPPING = auto()  # writes one piece, then waits to be let go
    CHATTING = auto()  # writes something that is no chain of thought
    FOREIGN = auto()  # not this protocol at all
    BUSY = auto()  # 429
    FAILING = auto()  # 500
    TRUNCATED = auto()  # ends early, at the limit of tokens
    DYING = auto()  # hangs up in the middle


@dataclass
class ChatServer:
    """What the server does and what it saw."""

    url: str = ""
    manner: Manner = Manner.FINE
    thought: ChainOfThought = THOUGHT
    log_odds: float = -2.5
    tokens_of: Callable[[str], list[int]] = lambda text: tokens_of(text)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The streamed requests."""
        return [body for body in self.bodies if body.get("stream")]

    def text_of(self, body: dict[str, Any]) -> str:
        """What a streamed request gets to read."""
        if self.manner is Manner.CHATTING:
            return "I think the item is really good!"
        whole = render(self.thought)
        head, heading, tail = whole.partition(f"{ITEM_HEADING}\n")
        if "structured_outputs" not in body:
            return whole
        if not body.get("continue_final_message"):
            return head + heading
        return tail.rpartition(JUDGEMENT_HEADING)[0] + JUDGEMENT_HEADING


def tokens_of(text: str) -> list[int]:
    """A tokenizer of words; the same word is the same token."""
    return [sum(ord(c) * 31**at for at, c in enumerate(word)) % 50_000 for word in text.split(" ")]


GOOD, BAD = tokens_of("Good")[0], tokens_of("Bad")[0]


class Handler(BaseHTTPRequestHandler):
    """One connection; `server.state` says how it is answered."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.state.bodies.append(body)
        self.server.state.keys.append(self.headers["authorization"])
        with suppress(ConnectionError):
            answer = self.BADLY.get(self.server.state.manner, Handler._answer)
            answer(self, body)

    def _answer(self, body: dict[str, Any]) -> None:
        if self.path == "/tokenize":
            tokens = self.server.state.tokens_of(body["messages"][-1]["content"])
            self._send(200, json.dumps({"tokens": tokens}).encode())
        elif body.get("stream"):
            self._stream(self.server.state, body)
        else:
            self._send(200, json.dumps(_scored(body, self.server.state.log_odds)).encode())

    def _hang(self, body: dict[str, Any]) -> None:
        self._wait_until_let_go()
        self.close_connection = True

    def _foreign(self, body: dict[str, Any]) -> None:
        self._send(200, b"<html>welcome</html>", "text/html")

    def _busy(self, body: dict[str, Any]) -> None:
        self._send(429, b'{"error": "busy"}')

    def _fail(self, body: dict[str, Any]) -> None:
        self._send(500, b'{"error": "out of memory"}')

    BADLY: ClassVar[dict[Manner, Callable[["Handler", dict[str, Any]], None]]] = {
        Manner.HANGING: _hang,
        Manner.FOREIGN: _foreign,
        Manner.BUSY: _busy,
        Manner.FAILING: _fail,
    }

    def _send(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, state: ChatServer, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        text = state.text_of(body)
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        if state.manner in (Manner.TRUNCATED, Manner.DYING):
            pieces = pieces[: len(pieces) // 2]
        for number, piece in enumerate(pieces):
            self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})
            if state.manner is Manner.DRIPPING and number == 0:
                self._wait_until_let_go()
        if state.manner is not Manner.DYING:
            self._event({"choices": [], "usage": {"prompt_tokens": 9}})
            self.wfile.write(b"data: [DONE]\n\n")

    def _wait_until_let_go(self) -> None:
        """Looks whether the client is still there, as an engine does."""
        state = self.server.state
        state.begun.set()
        self.connection.settimeout(0.02)
        for _ in range(int(PATIENCE_S / 0.02)):
            if state.let_go.is_set():
                return
            try:
                if not self.connection.recv(1):
                    raise BrokenPipeError
            except TimeoutError:
                continue
            except ConnectionError:
                state.hung_up.set()
                raise

    def _event(self, event: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Its threads end with the test run at the latest."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = ChatServer(url=f"http://127.0.0.1:{self.server_port}/v1")


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.state.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _scored(body: dict[str, Any], log_odds: float) -> dict[str, Any]:
    """One generated token with the labels' log-probabilities."""
    assert body["logprob_token_ids"] == [GOOD, BAD]
    told = [
        {"token": f"token_id:{GOOD}", "logprob": log_odds - 5.0},
        {"token": f"token_id:{BAD}", "logprob": -5.0},
    ]
    position = {"token": f"token_id:{BAD}", "logprob": -5.0, "top_logprobs": told}
    message = {"role": "assistant", "content": " Bad"}
    choice = {"index": 0, "message": message, "logprobs": {"content": [position]}}
    return {"choices": [choice | {"finish_reason": "length"}]}
