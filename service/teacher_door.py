"""The door to a teacher's online half: what it says about one pair, or why it cannot say.

The student's own alignment is `explain.py`'s and needs no teacher; waiting, trying the next
teacher and remembering answers are `explanations.py`'s.
"""

from pathlib import Path
from typing import Protocol

from relevance.domain import Item, Judgement


class Explainer(Protocol):
    """A judge that gives reasons.

    Where it cannot, it raises `TimeoutError`, or `MalformedText` where what it said is no chain of
    thought; anything else counts as unavailable.
    """

    @property
    def threshold(self) -> float:
        """The probability from which the judge calls a pair Good."""
        ...

    @property
    def fingerprint(self) -> str:
        """Another one for every change that could change an answer; part of the cache key."""
        ...

    def judge(self, query: str, item: Item) -> Judgement:
        """Judge one normalised query with one item."""
        ...


def read_explainer(folder: Path) -> Explainer:
    """The catalogue teacher lying in `folder`."""
    from teacher.online.catalogue import CatalogueJudge  # only where a teacher was asked for

    return CatalogueJudge.read(folder)
