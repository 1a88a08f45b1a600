"""The door to the teacher's online half: what it says about one pair, or that it cannot say.

The student's own alignment is `explain.py`'s and needs no teacher.
"""

import logging
from pathlib import Path
from typing import Protocol

from relevance.domain import Item, Judgement

log = logging.getLogger(__name__)


class Explainer(Protocol):
    """A judge that gives reasons."""

    @property
    def threshold(self) -> float:
        """The probability from which the judge calls a pair Good."""
        ...

    def judge(self, query: str, item: Item) -> Judgement:
        """Judge one normalised query with one item."""
        ...


def read_explainer(folder: Path) -> Explainer:
    """The catalogue teacher lying in `folder`."""
    from teacher.online.catalogue import CatalogueJudge  # only where a teacher was asked for

    return CatalogueJudge.read(folder)


def ask(explainer: Explainer | None, query: str, item: Item) -> Judgement | None:
    """The teacher's judgement; None where there is no teacher or it fails on this pair."""
    if explainer is None:
        return None
    try:
        return explainer.judge(query, item)
    except Exception:  # advice must never take down the student's own answer
        log.exception("the teacher failed on a pair")
        return None
