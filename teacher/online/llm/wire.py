"""The OpenAI chat shape with vLLM's additions: request bodies out, completions in.

Fields beyond OpenAI's (`structured_outputs`, `continue_final_message`, `logprob_token_ids`,
`return_tokens_as_token_ids`) are those of vLLM 0.12 and later. Nothing is sent from here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.prompt import Message

_TOKEN_ID = "token_id:"


class ReadBy(StrEnum):
    """Which route of the engine tells the log-odds.

    LOGPROBS: one generated token with `logprob_token_ids`; GENERATIVE_SCORING: vLLM's route of that
    name, which needs `/tokenize` as well.
    """

    LOGPROBS = "logprobs"
    GENERATIVE_SCORING = "generative_scoring"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; `top_k` 0 means all. `samples` answers come from one request."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    samples: int = 1
    max_tokens: int = 512
    seed: int | None = None


PAPER_SAMPLING = Sampling(temperature=0.8, top_p=0.7, top_k=50, samples=5)  # paper, 3.2.1


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: messages, how to draw, and what binds the answer.

    `begun` is how the assistant's answer begins: it is continued. `regex` binds what is generated
    (vLLM's structured outputs). `label_ids` asks for the log-probabilities of these tokens at every
    position. Generation ends at any of `stop`, which is not part of the text.
    """

    messages: Sequence[Message]
    sampling: Sampling = Sampling()
    begun: str = ""
    regex: str | None = None
    stop: tuple[str, ...] = ()
    label_ids: tuple[int, ...] = ()

    def body(self, model: str, *, stream: bool = False) -> dict[str, Any]:
        """The JSON body of `POST /v1/chat/completions`."""
        how = self.sampling
        content: dict[str, Any] = {
            "model": model,
            **begun_messages(self.messages, self.begun),
            "temperature": how.temperature,
            "top_p": how.top_p,
            "n": how.samples,
            "max_tokens": how.max_tokens,
        }
        if how.top_k:
            content["top_k"] = how.top_k
        if how.seed is not None:
            content["seed"] = how.seed
        if self.stop:
            content["stop"] = list(self.stop)
        if self.regex is not None:
            content["structured_outputs"] = {"regex": self.regex}
        if self.label_ids:
            content |= {
                "logprobs": True,
                "top_logprobs": len(self.label_ids),
                "logprob_token_ids": list(self.label_ids),
                "return_tokens_as_token_ids": True,
            }
        if stream:
            content |= {"stream": True, "stream_options": {"include_usage": True}}
        return content


def begun_messages(messages: Sequence[Message], begun: str) -> dict[str, Any]:
    """The fields that say which messages there are and whether the last one is continued."""
    if not begun:
        return {"messages": list(messages)}
    return {
        "messages": [*messages, {"role": "assistant", "content": begun}],
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a request; `cached` ones the engine did not compute again (0 where unsaid)."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.cached + other.cached,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer. `first` are the log-probabilities, by token id, at its first position."""

    text: str
    finish: str
    first: Mapping[int, float] = field(default_factory=dict)

    @property
    def truncated(self) -> bool:
        """Whether the answer ended at the limit of tokens."""
        return self.finish == "length"


@dataclass(frozen=True, slots=True)
class Completion:
    """Every answer to a request, and what it cost. `endpoint` is the place of who answered."""

    choices: tuple[Choice, ...]
    usage: Usage = Usage()
    endpoint: int = 0

    @property
    def text(self) -> str:
        """The first answer."""
        return self.choices[0].text


def read_completion(content: bytes, *, samples: int, endpoint: int = 0) -> Completion:
    """A chat completion's reply; raises `EndpointFault` (GARBAGE) where it is none."""
    try:
        reply = json.loads(content)
        listed = sorted(reply["choices"], key=lambda choice: choice.get("index", 0))
        choices = tuple(_choice(choice) for choice in listed)
        usage = _usage(reply.get("usage") or {})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
        raise garbage("a chat completion", content, fault) from fault
    if len(choices) != samples:
        raise garbage(f"{samples} choices", content, f"got {len(choices)}")
    return Completion(choices, usage, endpoint)


def read_delta(data: str) -> str:
    """The text a streamed event adds; raises `EndpointFault` (GARBAGE) where it is no event."""
    try:
        event = json.loads(data)
        choices = event["choices"]
        return str((choices[0].get("delta") or {}).get("content") or "") if choices else ""
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
        raise garbage("a streamed event", data.encode(), fault) from fault


def read_tokens(content: bytes) -> tuple[int, ...]:
    """The reply of vLLM's `POST /tokenize`."""
    try:
        return tuple(int(token) for token in json.loads(content)["tokens"])
    except (ValueError, KeyError, TypeError) as fault:
        raise garbage("token ids", content, fault) from fault


def read_scores(content: bytes) -> tuple[float, ...]:
    """The reply of vLLM's `POST /generative_scoring`, in the order of its items."""
    try:
        rows = sorted(json.loads(content)["data"], key=lambda row: row["index"])
        return tuple(float(row["score"]) for row in rows)
    except (ValueError, KeyError, TypeError) as fault:
        raise garbage("scores", content, fault) from fault


def read_model(content: bytes) -> str:
    """The first model of the reply of `GET /v1/models`."""
    try:
        return str(json.loads(content)["data"][0]["id"])
    except (ValueError, KeyError, TypeError, IndexError) as fault:
        raise garbage("a list of models", content, fault) from fault


def garbage(expected: str, content: bytes, why: object) -> EndpointFault:
    """The fault for an answer that is not of the protocol."""
    shown = content[:80].decode("utf-8", errors="replace")
    return EndpointFault(f"expected {expected}, got {shown!r} ({why!r})", kind=FaultKind.GARBAGE)


def _choice(choice: Mapping[str, Any]) -> Choice:
    text = choice["message"]["content"]
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise TypeError("content is no text")
    positions = (choice.get("logprobs") or {}).get("content") or []
    first = _by_id(positions[0]) if positions else {}
    return Choice(text, str(choice.get("finish_reason") or ""), first)


def _by_id(position: Mapping[str, Any]) -> dict[int, float]:
    told = [position, *(position.get("top_logprobs") or [])]
    return {
        int(one["token"].removeprefix(_TOKEN_ID)): float(one["logprob"])
        for one in told
        if str(one["token"]).startswith(_TOKEN_ID)
    }


def _usage(told: Mapping[str, Any]) -> Usage:
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(
        int(told.get("prompt_tokens") or 0), int(told.get("completion_tokens") or 0), int(cached)
    )
