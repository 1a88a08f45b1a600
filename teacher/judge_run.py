"""Judges shards with a language model: many pairs at once, every result journalled as it comes.

A killed run loses nothing: results lie in the journal, finished shards in their files, and the next
run asks only for what was under way. How many machines do this at once is `judge_ray.py`'s.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from relevance.chain_of_thought import parse
from relevance.domain import Item
from relevance.errors import Unavailable
from teacher.journal import Journal
from teacher.judge_pairs import Told, count
from teacher.judge_plan import ShardWork
from teacher.judge_shards import ShardFolder, rows_of
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.judge import Judged
from teacher.online.llm.wire import Usage

TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")
FAULT = "fault: "  # how counts of what went wrong begin
_GIVE_UP = frozenset({FaultKind.DOWN, FaultKind.BUSY, FaultKind.DENIED})
_FEWEST = 50  # failed pairs before their share ends a job


class PairJudge(Protocol):
    """Judges one pair; the door to a language model."""

    async def judge(self, query: str, item: Item, *, held_out_of: str | None = None) -> Judged:
        """The pair's judgements."""
        ...


@dataclass(frozen=True, slots=True)
class RunLimits:
    """`at_once` pairs are under way; a job ends where more than `most_failed` of them fail."""

    at_once: int = 64
    most_failed: float = 0.05


DEFAULT_LIMITS = RunLimits()
Watch = Callable[[Judged], None]  # told of every pair as it is done
Resumed = Callable[[int], None]  # told how many pairs a journal holds of an earlier run


async def judge_shards(
    work: Iterable[ShardWork],
    judge: PairJudge,
    folder: ShardFolder,
    *,
    limits: RunLimits = DEFAULT_LIMITS,
    watch: Watch = lambda judged: None,
    resumed: Resumed = lambda pairs: None,
) -> None:
    """Judge every pair of every shard, and write each shard when it is whole.

    Raises what ended the run; everything judged until then is in the journals.
    """
    await _Run(judge, folder, limits, watch, resumed).all_of(work)


@dataclass(eq=False)
class _OpenShard:
    """A shard under way: its pairs' results by place, as far as known."""

    work: ShardWork
    journal: Journal
    results: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def waiting(self) -> list[int]:
        """The places of the pairs that are still to be judged."""
        return [at for at in range(len(self.work.pairs)) if at not in self.results]


class _Run:
    def __init__(
        self,
        judge: PairJudge,
        folder: ShardFolder,
        limits: RunLimits,
        watch: Watch,
        resumed: Resumed,
    ) -> None:
        self._judge, self._folder, self._limits = judge, folder, limits
        self._watch, self._resumed = watch, resumed
        self._done = 0
        self._failed: Counter[str] = Counter()
        self._open_shards: list[_OpenShard] = []

    async def all_of(self, work: Iterable[ShardWork]) -> None:
        """Workers take one pair after another, across shards, until none is left."""
        waiting = self._waiting(work)

        async def take() -> None:
            for shard, place in waiting:
                await self._one(shard, place)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._limits.at_once):
                    group.create_task(take())
        except* Exception as faults:
            raise _first(faults) from None
        finally:
            for shard in self._open_shards:
                shard.journal.close()

    def _waiting(self, work: Iterable[ShardWork]) -> Iterator[tuple[_OpenShard, int]]:
        """Every pair still to judge; shards are opened as their turn comes."""
        for shard_work in work:
            shard = self._open(shard_work)
            places = shard.waiting()
            if not places:
                self._close(shard)
            yield from ((shard, place) for place in places)

    def _open(self, work: ShardWork) -> _OpenShard:
        """A shard with what its journal holds; pairs that failed are tried again."""
        journal = Journal(self._folder.journal(work.number))
        known = {int(r["place"]): r for r in journal.records if not r["failed"]}
        shard = _OpenShard(work, journal, dict(known))
        self._open_shards.append(shard)
        self._resumed(len(known))
        return shard

    async def _one(self, shard: _OpenShard, place: int) -> None:
        judged, failed = await self._judged(shard.work, place)
        record = _record(place, judged, failed=failed)
        shard.journal.append(record)
        shard.results[place] = record
        self._count(judged, failed=failed)
        self._watch(judged)
        if len(shard.results) == len(shard.work.pairs):
            self._close(shard)

    async def _judged(self, work: ShardWork, place: int) -> tuple[Judged, bool]:
        pair, item = work.pairs[place], work.items[place]
        try:
            held_out_of = work.held_out_of[place]
            return await self._judge.judge(pair.query, item, held_out_of=held_out_of), False
        except EndpointFault as fault:
            if fault.kind in _GIVE_UP:
                raise
            return Judged((), Usage(), str(fault.kind)), True

    def _count(self, judged: Judged, *, failed: bool) -> None:
        """Ends the job where so many pairs fail that something else must be wrong."""
        self._done += 1
        if not failed:
            return
        self._failed[judged.fault or ""] += 1
        number = self._failed.total()
        if number >= _FEWEST and number > self._limits.most_failed * self._done:
            raise Unavailable(
                f"judging: {number} of {self._done} pairs failed ({dict(self._failed)}); what is "
                "judged is kept, and the same command goes on"
            )

    def _close(self, shard: _OpenShard) -> None:
        in_order = [shard.results[place] for place in range(len(shard.work.pairs))]
        rows = [row for record in in_order for row in record["rows"]]
        self._folder.write(shard.work.number, rows, counts_of(in_order))
        self._open_shards.remove(shard)
        shard.journal.close()


def _record(place: int, judged: Judged, *, failed: bool) -> dict[str, Any]:
    usage = judged.usage
    return {
        "place": place,
        "failed": failed,
        "fault": judged.fault,
        "usage": [usage.prompt, usage.completion, usage.cached],
        "rows": rows_of(judged.judgements),
    }


def counts_of(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What a shard's records add up to."""
    counts: Counter[str] = Counter()
    for record in records:
        counts.update(pairs=1, **dict(zip(TOKENS, record["usage"], strict=True)))
        counts.update(count(_told(row) for row in record["rows"]))
        if record["fault"] is not None:
            counts[FAULT + record["fault"]] += 1
    return counts


def _told(row: Mapping[str, Any]) -> Told:
    reasons = row["chain_of_thought"]
    return row["target"], None if reasons is None else parse(reasons)


def _first(faults: BaseExceptionGroup[Exception]) -> Exception:
    """The fault that ended the run; the others followed from it."""
    first = faults.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
