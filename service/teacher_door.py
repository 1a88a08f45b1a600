"""The door to teachers: what one says about a pair, or why it cannot say.

The student's own alignment is `explain.py`'s and needs no teacher; waiting, trying the next
teacher and remembering answers are `explanations.py`'s; how a language model is asked is
`explain_llm.py`'s.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from relevance.domain import ChainOfThought, EvidenceSpan, Item, Judgement

Say = Callable[[str], None]  # takes the next piece of a text that is being written


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a teacher says of a pair. `log_odds` is None where only its words are known."""

    judge: str
    fingerprint: str
    chain_of_thought: ChainOfThought | None
    spans: tuple[EvidenceSpan, ...] = ()
    log_odds: float | None = None


class Overloaded(Exception):
    """A teacher has too much to do to take this pair."""


class Teacher(Protocol):
    """What all teachers tell of themselves."""

    @property
    def threshold(self) -> float:
        """The probability from which the judge calls a pair Good."""
        ...

    @property
    def fingerprint(self) -> str:
        """Another one for every change that could change an answer; part of the cache key."""
        ...


class Explainer(Teacher, Protocol):
    """A judge that gives reasons, such as the catalogue teacher.

    Where it cannot, it raises `TimeoutError`, `Overloaded`, or `MalformedText` where what it said
    is no chain of thought; anything else counts as unavailable.
    """

    def judge(self, query: str, item: Item) -> Judgement:
        """Judge one normalised query with one item."""
        ...


@runtime_checkable
class WritingExplainer(Teacher, Protocol):
    """A language model: its answer takes shape slowly, can be listened to, and can be stopped.

    The future holds what an `Explainer` would raise.
    """

    @property
    def patience_s(self) -> float:
        """The longest it takes to answer or to say that it cannot."""
        ...

    def start(self, query: str, item: Item, say: Say) -> "Future[Opinion]":
        """Begin to judge. `say` hears the text from another thread; cancelling ends the call."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...


def read_explainer(folder: Path) -> Explainer:
    """The catalogue teacher lying in `folder`."""
    from teacher.online.catalogue import CatalogueJudge  # only where a teacher was asked for

    return CatalogueJudge.read(folder)


def opinion_of(said: Judgement) -> Opinion:
    """A judgement as what is told of it here."""
    return Opinion(
        judge=said.judge,
        fingerprint=said.fingerprint,
        chain_of_thought=said.chain_of_thought,
        spans=said.spans,
        log_odds=said.log_odds,
    )
