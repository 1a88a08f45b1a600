"""Keeps every reply about a pair until the pair is done, so that a killed run does not ask again.

A chain of thought takes several requests; those that were answered lie in the journal beside the
finished pairs. What a finished pair's record holds is its writer's business.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from teacher.journal import Journal
from teacher.online.llm.reasoning import Writer
from teacher.online.llm.wire import Ask, Choice, Completion, Usage

_ASKED = "asked"  # only replies' records have it


class JournalledReplies:
    """A model that is asked about the pair at one place; answers what was answered before itself.

    `earlier` are the pair's replies of an earlier run, each given once. A reply is in the journal
    before anyone sees it.
    """

    def __init__(
        self,
        model: Writer,
        journal: Journal,
        place: int,
        earlier: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._model, self._journal, self._place = model, journal, place
        self._earlier: dict[str, list[Completion]] = defaultdict(list)
        for record in earlier:
            self._earlier[record[_ASKED]].append(_completion(record))

    async def complete(self, ask: Ask, *, prefer: int | None = None) -> Completion:
        """The reply of an earlier run where there is one, else the model's, noted down."""
        asked = _digest(ask)
        if known := self._earlier[asked]:
            return known.pop(0)
        reply = await self._model.complete(ask, prefer=prefer)
        self._journal.append({"place": self._place, _ASKED: asked, **_content(reply)})
        return reply


def split_replies(
    records: Iterable[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], Mapping[int, Sequence[Mapping[str, Any]]]]:
    """A journal's records of pairs, and its records of replies by the place of their pair."""
    pairs, replies = [], defaultdict(list)
    for record in records:
        if _ASKED in record:
            replies[int(record["place"])].append(record)
        else:
            pairs.append(record)
    return pairs, replies


def _digest(ask: Ask) -> str:
    """What tells requests of a pair apart; samples differ by their seeds."""
    return hashlib.sha256(json.dumps(ask.body(""), sort_keys=True).encode()).hexdigest()[:16]


def _content(reply: Completion) -> dict[str, Any]:
    usage = reply.usage
    return {
        "choices": [[one.text, one.finish, list(one.first.items())] for one in reply.choices],
        "usage": [usage.prompt, usage.completion, usage.cached],
    }


def _completion(record: Mapping[str, Any]) -> Completion:
    """The reply; who gave it may be gone, so the first endpoint counts as having done so."""
    choices = (Choice(text, finish, dict(first)) for text, finish, first in record["choices"])
    return Completion(tuple(choices), Usage(*record["usage"]))
