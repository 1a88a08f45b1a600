"""Has a model write chains of thought, bound to their form or free.

One request where the answer is free, two where it is bound (see `structure.py`). What is read of
the text is `reply.py`'s, what it is worth `log_odds.py`'s.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol

from relevance.chain_of_thought import JUDGEMENT_HEADING
from teacher.online.llm.prompt import Messages
from teacher.online.llm.structure import (
    asked_aspects,
    item_part,
    item_part_and_judgement,
    query_part,
)
from teacher.online.llm.wire import Ask, Completion, Sampling, Usage


class Writer(Protocol):
    """Answers requests; the door to a language model."""

    async def complete(self, ask: Ask, *, prefer: int | None = None) -> Completion:
        """The answers to one request; `prefer` is the endpoint that wrote the beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """Answers to one request, what they cost, and who wrote them (the endpoint's place).

    `cut` tells of each whether it ended at the limit of tokens.
    """

    texts: tuple[str, ...]
    cut: tuple[bool, ...]
    usage: Usage
    endpoint: int

    @property
    def truncated(self) -> int:
        """How many ended at the limit of tokens."""
        return sum(self.cut)

    @property
    def whole(self) -> tuple[str, ...]:
        """Those that came to their end."""
        return tuple(text for text, cut in zip(self.texts, self.cut, strict=True) if not cut)


async def write_chains(
    model: Writer, messages: Messages, sampling: Sampling, *, structured: bool = True
) -> Written:
    """Whole chains of thought with their judgements, as many as `sampling.samples`."""
    if not structured:
        return _written(await model.complete(Ask(messages, sampling)))
    begun = _written(await model.complete(Ask(messages, sampling, regex=query_part())))
    return await _finished(model, messages, sampling, begun, judgement=True)


async def write_reasons(
    model: Writer, messages: Messages, sampling: Sampling, *, structured: bool = True
) -> Written:
    """Chains of thought up to `Final judgment:`, where log-odds are read."""
    if not structured:
        ask = Ask(messages, sampling, stop=(JUDGEMENT_HEADING,))
        free = _written(await model.complete(ask))
        return replace(free, texts=tuple(text + JUDGEMENT_HEADING for text in free.texts))
    begun = _written(await model.complete(Ask(messages, sampling, regex=query_part())))
    return await _finished(model, messages, sampling, begun, judgement=False)


async def _finished(
    model: Writer,
    messages: Messages,
    sampling: Sampling,
    begun: Written,
    *,
    judgement: bool,
) -> Written:
    """Every sample's query lines continued to the end, all at once; cut ones stay as they are."""

    async def finish(place: int, text: str) -> Completion | None:
        if begun.cut[place]:
            return None
        asked = asked_aspects(text)
        regex = item_part_and_judgement(asked) if judgement else item_part(asked)
        # Samples must differ among themselves and not between two runs.
        seed = None if sampling.seed is None else sampling.seed + place
        alone = replace(sampling, samples=1, seed=seed)
        ask = Ask(messages, alone, begun=text, regex=regex)
        return await model.complete(ask, prefer=begun.endpoint)

    ends = await asyncio.gather(*(finish(at, text) for at, text in enumerate(begun.texts)))
    return Written(
        tuple(t + (e.text if e else "") for t, e in zip(begun.texts, ends, strict=True)),
        tuple(end is None or end.choices[0].truncated for end in ends),
        sum((end.usage for end in ends if end), begun.usage),
        begun.endpoint,
    )


def _written(reply: Completion) -> Written:
    return Written(
        tuple(choice.text for choice in reply.choices),
        tuple(choice.truncated for choice in reply.choices),
        reply.usage,
        reply.endpoint,
    )
