"""Language models as annotators: every sample of a pair asked for, every reply journalled.

A killed run repeats only the requests that were under way. Which samples are kept is
`selection.py`'s; the parts they are written to are `annotation.py`'s.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relevance.domain import Item
from relevance.errors import Unavailable
from teacher.annotation import Samples
from teacher.journal import Journal
from teacher.online.llm.client import LanguageModel, Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.prompt import DEFAULT_STYLE, Mode, PromptStyle, prompt
from teacher.online.llm.reasoning import Writer, write_chains
from teacher.online.llm.wire import PAPER_SAMPLING, Sampling
from teacher.reply_journal import JournalledReplies, split_replies

_GIVE_UP = frozenset({FaultKind.DOWN, FaultKind.BUSY, FaultKind.DENIED})
_FEWEST, _MOST_FAILED = 20, 0.1  # failed pairs before their share ends a run


@dataclass(frozen=True, slots=True)
class AnnotatorOptions:
    """How a model is asked; the sampling is the paper's (3.2.1) unless another is given."""

    style: PromptStyle = DEFAULT_STYLE
    sampling: Sampling = PAPER_SAMPLING
    structured: bool = True
    at_once: int = 64
    patience: Patience = Patience()


@dataclass(frozen=True, slots=True)
class LLMAnnotator:
    """One model behind its endpoints."""

    endpoints: tuple[Endpoint, ...]
    options: AnnotatorOptions = AnnotatorOptions()

    @property
    def name(self) -> str:
        """Model, prompt and sampling: what decides the samples."""
        how, options = self.options.sampling, self.options
        drawn = f"T{how.temperature:g}-p{how.top_p:g}-k{how.top_k}-s{how.seed}"
        bound = "bound" if options.structured else "free"
        return f"{self.endpoints[0].model}:{options.style.fingerprint}:{drawn}:{bound}"

    def annotate(
        self, asked: Sequence[tuple[str, Item]], *, samples: int, journal: Path
    ) -> Samples:
        """Samples of every pair; a pair that the engine cannot answer has none.

        Raises `EndpointFault` where the endpoints stay away; what was written is journalled.
        """
        with Journal(journal) as known:
            records = asyncio.run(self._annotate(asked, samples, known))
        return Samples(tuple(tuple(r["texts"]) for r in records), _costs(records))

    async def _annotate(
        self, asked: Sequence[tuple[str, Item]], samples: int, journal: Journal
    ) -> Sequence[Mapping[str, Any]]:
        """A record a pair; those that failed in an earlier run are tried again."""
        pairs, replies = split_replies(journal.records)
        known = {int(r["place"]): r for r in pairs if r["fault"] is None}
        waiting = iter([place for place in range(len(asked)) if place not in known])
        failed: Counter[str] = Counter()

        async with LanguageModel(self.endpoints, patience=self.options.patience) as model:

            async def take() -> None:
                for place in waiting:
                    replied = JournalledReplies(model, journal, place, replies.get(place, ()))
                    record = {"place": place, **await self._record(replied, *asked[place], samples)}
                    journal.append(record)
                    known[place] = record
                    failed.update([record["fault"]] if record["fault"] else [])
                    _check_failed(failed, len(known))

            await _all_of(take, self.options.at_once)
        return [known[place] for place in range(len(asked))]

    async def _record(self, model: Writer, query: str, item: Item, samples: int) -> dict[str, Any]:
        """What is journalled of a pair."""
        options = self.options
        messages = prompt(query, item, mode=Mode.COT, style=options.style)
        sampling = replace(options.sampling, samples=samples)
        try:
            written = await write_chains(model, messages, sampling, structured=options.structured)
        except EndpointFault as fault:
            if fault.kind in _GIVE_UP:
                raise
            return {"texts": [], "usage": [0, 0, 0], "truncated": 0, "fault": str(fault.kind)}
        usage = written.usage
        return {
            "texts": list(written.texts),
            "usage": [usage.prompt, usage.completion, usage.cached],
            "truncated": written.truncated,
            "fault": None,
        }


def _check_failed(failed: Counter[str], asked: int) -> None:
    """Ends a run where so many pairs fail that something else must be wrong."""
    number = failed.total()
    if number >= _FEWEST and number > _MOST_FAILED * asked:
        raise Unavailable(
            f"annotating: {number} of {asked} pairs failed ({dict(failed)}); what is written is "
            "kept, and the same command goes on"
        )


async def _all_of(take: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
    """Run so many takers to their end; the first fault ends all of them."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(take())
    except* Unavailable as faults:
        raise _first(faults) from None


def _costs(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    costs: Counter[str] = Counter()
    for record in records:
        prompt_tokens, completion_tokens, cached_tokens = record["usage"]
        costs.update(
            pairs=1,
            samples=len(record["texts"]),
            truncated=record["truncated"],
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cached_tokens=cached_tokens,
        )
        if record["fault"] is not None:
            costs["fault: " + record["fault"]] += 1
    return costs


def _first(faults: BaseExceptionGroup[Unavailable]) -> Unavailable:
    first = faults.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
