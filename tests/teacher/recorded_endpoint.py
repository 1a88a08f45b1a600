"""A server of the OpenAI shape that answers every request the same way, and fails on demand.

What it says of a pair follows from the words of query and item, so equal requests get equal answers
in any order, process or run: a recording that needs no file. It speaks what vLLM speaks of
`/v1/chat/completions` (continued messages, structured outputs, log-probabilities by token id,
streams), `/tokenize`, `/generative_scoring`, `/v1/models` and `/metrics`. It runs as a process of
its own (`python -m tests.teacher.recorded_endpoint`) or in a thread.
"""

import argparse
import contextlib
import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from relevance.chain_of_thought import ITEM_HEADING, JUDGEMENT_HEADING

GOOD, BAD = 11, 12  # token ids
_WORD = re.compile(r"\s*\S+|\s+")


@dataclass
class Behaviour:
    """How the server answers.

    `faults` are given to the first requests, one each, then all is well; `always` to every request.
    `delay_s` is slept before an answer. `single_tokens` says whether labels are single tokens.
    `says` is what it answers instead of a chain of thought.
    """

    model: str = "recorded"
    faults: list[str] = field(default_factory=list)
    always: str = ""
    delay_s: float = 0.0
    single_tokens: bool = True
    retry_after: str = "1"
    says: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    chats: list[dict[str, Any]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> str:
        """What goes wrong with the request at hand; empty where nothing does."""
        with self.lock:
            return self.always or (self.faults.pop(0) if self.faults else "")


def words(text: str) -> list[str]:
    """Tokens: a word with the white space before it."""
    return _WORD.findall(text)


def token_ids(text: str, *, single: bool = True) -> list[int]:
    """The tokens' ids; the labels have ids of their own, unless they are not single tokens."""
    ids: list[int] = []
    for word in words(text):
        if word.strip() in ("Good", "Bad"):
            label = GOOD if word.strip() == "Good" else BAD
            ids += [label] if single else [label, 13]
        else:
            ids.append(100 + int.from_bytes(hashlib.sha256(word.encode()).digest()[:3]))
    return ids


def pair_of(messages: list[dict[str, str]]) -> tuple[list[str], str]:
    """The words of the query and the lower-cased text of the item, of the last user message."""
    asked = next(m["content"] for m in reversed(messages) if m["role"] == "user")
    query, _, item = asked.partition("\n")
    return query.partition(": ")[2].lower().split(), item.lower()


def full_answer(messages: list[dict[str, str]], sample: int = 0) -> str:
    """The whole chain of thought about a pair; samples forget one word each."""
    query, item = pair_of(messages)
    kept = [word for at, word in enumerate(query) if sample == 0 or at != sample % len(query)]
    aspects = ["product" if word == query[-1] else "other" for word in kept]
    asked = [f"- {a}: {w}" for a, w in zip(aspects, kept, strict=True)]
    offered = [
        f"- {a}: {w} -> match" if w in item else f"- {a}: (not stated) -> missing"
        for a, w in zip(aspects, kept, strict=True)
    ]
    label = "Good" if log_odds(messages) >= 0 else "Bad - other mismatch"
    lines = ["Query attributes:", *(asked or ["- (none)"])]
    lines += [ITEM_HEADING, *(offered or ["- (none)"]), f"{JUDGEMENT_HEADING} {label}"]
    return "\n".join(lines)


def log_odds(messages: list[dict[str, str]]) -> float:
    """logit(Good) - logit(Bad): the share of the query's words that the item has."""
    query, item = pair_of(messages)
    share = sum(word in item for word in query) / max(len(query), 1)
    noise = int.from_bytes(hashlib.sha256(item.encode()).digest()[:2]) / 2**16
    return round(6 * share - 3.5 + noise, 6)


def answer(body: dict[str, Any], sample: int = 0) -> str:
    """What comes after the answer's beginning, bound and stopped as asked."""
    messages = body["messages"]
    begun = messages[-1]["content"] if body.get("continue_final_message") else ""
    whole = full_answer(messages, sample)
    if begun and not whole.startswith(begun):  # a beginning drawn as another sample
        query, _ = pair_of(messages)
        others = (full_answer(messages, at) for at in range(len(query) + 1))
        whole = next((text for text in others if text.startswith(begun)), begun)
    text = whole[len(begun) :]
    regex = (body.get("structured_outputs") or {}).get("regex")
    if regex is not None and not begun:
        text = text[: text.index(ITEM_HEADING) + len(ITEM_HEADING) + 1]
    elif regex is not None and not re.fullmatch(regex, text):
        text = text[: text.index(JUDGEMENT_HEADING) + len(JUDGEMENT_HEADING)]
        assert re.fullmatch(regex, text), (regex, text)
    for stop in body.get("stop") or []:
        text = text.partition(stop)[0]
    return text


def completion(body: dict[str, Any], says: str = "") -> dict[str, Any]:
    """The reply to a chat completion."""
    choices = []
    for at in range(body.get("n", 1)):
        ids = body.get("logprob_token_ids")
        text, finish = (" Good", "length") if ids else cut(says or answer(body, at), body)
        choice: dict[str, Any] = {"index": at, "finish_reason": finish}
        choice["message"] = {"role": "assistant", "content": text}
        if ids:
            choice["logprobs"] = {"content": [_position(body["messages"], ids)]}
        choices.append(choice)
    prompt = sum(len(words(m["content"])) for m in body["messages"])
    written = sum(len(words(c["message"]["content"])) for c in choices)
    return {
        "choices": choices,
        "usage": {"prompt_tokens": prompt, "completion_tokens": written},
    }


def cut(text: str, body: dict[str, Any]) -> tuple[str, str]:
    """The text within the limit of tokens, and why it ends."""
    pieces = words(text)
    limit = body.get("max_tokens", 10**6)
    return "".join(pieces[:limit]), "length" if len(pieces) > limit else "stop"


def _position(messages: list[dict[str, str]], ids: list[int]) -> dict[str, Any]:
    half = log_odds(messages) / 2
    told = {GOOD: half - 2, BAD: -half - 2}
    top = [{"token": f"token_id:{i}", "logprob": told.get(i, -20.0)} for i in ids]
    return {"token": "token_id:77", "logprob": -0.1, "top_logprobs": top}


class Handler(BaseHTTPRequestHandler):
    """One request; `server.behaviour` says how it goes."""

    protocol_version = "HTTP/1.1"
    server: "RecordedServer"

    def do_GET(self) -> None:
        """Models and metrics."""
        behaviour = self.server.behaviour
        if self.path == "/metrics":
            asked = 100 * behaviour.seen["/v1/chat/completions"]
            lines = [
                f'vllm:prefix_cache_queries_total{{engine="0"}} {asked}.0',
                f'vllm:prefix_cache_hits_total{{engine="0"}} {asked * 0.75}',
            ]
            self.reply(200, "\n".join(lines).encode())
        else:
            self.reply(200, json.dumps({"data": [{"id": behaviour.model}]}).encode())

    def do_POST(self) -> None:
        """Everything else."""
        behaviour = self.server.behaviour
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with behaviour.lock:
            behaviour.seen[self.path] += 1
            behaviour.at_once += 1
            behaviour.most_at_once = max(behaviour.most_at_once, behaviour.at_once)
            if self.path == "/v1/chat/completions":
                behaviour.chats.append(body)
        try:
            if not self.failed(body):
                time.sleep(behaviour.delay_s)
                self.answered(body)
        finally:
            with behaviour.lock:
                behaviour.at_once -= 1

    def failed(self, body: dict[str, Any]) -> bool:
        """Whether this request goes wrong, and how."""
        fault = "" if self.path == "/tokenize" else self.server.behaviour.next_fault()
        if fault == "garbage":
            self.reply(200, b"<html>busy</html>")
        elif fault == "slow":
            time.sleep(2.0)
            self.close_connection = True
        elif fault == "dies":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
        elif fault.isdigit():
            self.reply(int(fault), b'{"error": {"message": "no"}}')
        elif fault == "empty":
            self.reply(200, b'{"choices": []}')
        return bool(fault)

    def answered(self, body: dict[str, Any]) -> None:
        """The reply of a route that works."""
        behaviour = self.server.behaviour
        if self.path == "/tokenize":
            text = "".join(m["content"] + "\n" for m in body["messages"]).rstrip("\n")
            tokens = token_ids(text, single=behaviour.single_tokens)
            self.reply(200, json.dumps({"tokens": tokens}).encode())
        elif self.path == "/generative_scoring":
            rows = [{"index": at, "score": 0.25} for at in range(len(body["items"]))]
            self.reply(200, json.dumps({"data": rows}).encode())
        elif body.get("stream"):
            self.streamed(body)
        else:
            self.reply(200, json.dumps(completion(body, behaviour.says)).encode())

    def streamed(self, body: dict[str, Any]) -> None:
        """The answer word by word."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for word in words(answer(body)):
            event = {"choices": [{"index": 0, "delta": {"content": word}}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")

    def reply(self, status: int, content: bytes) -> None:
        """A whole reply."""
        self.send_response(status)
        if status in (429, 503):
            self.send_header("retry-after", self.server.behaviour.retry_after)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class RecordedServer(ThreadingHTTPServer):
    """The server and how it behaves."""

    daemon_threads = True

    def __init__(self, behaviour: Behaviour, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.behaviour = behaviour

    @property
    def url(self) -> str:
        """Its address up to `/v1`."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed, or hang up, are what the tests are about."""


@contextlib.contextmanager
def recorded_server(behaviour: Behaviour | None = None) -> Iterator[RecordedServer]:
    """A server in a thread of this process."""
    with RecordedServer(behaviour or Behaviour()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Serve until killed; the address goes to stdout."""
    options = argparse.ArgumentParser()
    options.add_argument("--delay", type=float, default=0.0)
    given = options.parse_args()
    server = RecordedServer(Behaviour(delay_s=given.delay))
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
