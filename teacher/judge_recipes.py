"""What it takes to judge shards, as values that travel: by the catalogue judge, or by a model.

A recipe opens its judge where it is used, on this machine or on a Ray worker, and closes it there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from relevance.domain import Judgement
from teacher.judge_pairs import count, judge_pairs
from teacher.judge_plan import ShardWork
from teacher.judge_progress import CacheReading, Meter, read_cache
from teacher.judge_run import DEFAULT_LIMITS, RunLimits, judge_shards
from teacher.judge_shards import ShardFolder, rows_of
from teacher.online.catalogue import JUDGE, CatalogueJudge
from teacher.online.llm.client import LanguageModel, Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.judge import Judged, JudgeOptions, LLMJudge
from teacher.online.llm.log_odds import LabelTokens
from teacher.signal_files import NO_TABLE, SignalTable

Show = Callable[[Meter], None]
_LOOK_S = 10.0  # between two looks at the engines' metrics


@dataclass(frozen=True)
class CatalogueRecipe:
    """The catalogue judge of a folder; quick, so a killed shard is judged anew."""

    folder: Path
    signals: SignalTable = NO_TABLE
    quick: ClassVar[bool] = True  # judging anew costs nothing worth keeping
    shard_pairs: ClassVar[int] = 16_384

    @property
    def name(self) -> str:
        """The judge's name."""
        return JUDGE

    def fingerprint(self) -> str:
        """What tells this judge from another."""
        return CatalogueJudge.read(self.folder).fingerprint

    def judge(self, work: Iterable[ShardWork], out: ShardFolder, meter: Meter, show: Show) -> None:
        """Judge shard by shard."""
        judge = CatalogueJudge.read(self.folder)
        for shard in work:
            told = list(self._judged(judge, shard))
            counts = count((j.target, j.chain_of_thought) for j in told)
            out.write(shard.number, rows_of(told), counts + Counter(pairs=len(shard.pairs)))
            for judgement in told:
                meter.add(Judged((judgement,)))
            show(meter)

    def _judged(self, judge: CatalogueJudge, shard: ShardWork) -> Iterable[Judgement]:
        items = {item.item_id: item for item in shard.items}
        judged = judge_pairs(judge, shard.pairs, items, self.signals)
        for judgement, held in zip(judged, shard.held_out_of, strict=True):
            yield replace(judgement, held_out_of=held)


@dataclass(frozen=True)
class LLMRecipe:
    """A language model behind endpoints; `labels` were checked once, before any pair."""

    endpoints: tuple[Endpoint, ...]
    labels: LabelTokens
    options: JudgeOptions = JudgeOptions()
    patience: Patience = Patience()
    limits: RunLimits = DEFAULT_LIMITS
    quick: ClassVar[bool] = False
    shard_pairs: ClassVar[int] = 4096

    @property
    def name(self) -> str:
        """The judge's name."""
        return f"llm:{self.endpoints[0].model}"

    def fingerprint(self) -> str:
        """What tells this judge from another."""
        return self.options.fingerprint(self.endpoints[0].model)

    def judge(self, work: Iterable[ShardWork], out: ShardFolder, meter: Meter, show: Show) -> None:
        """Judge many pairs at once; every result is journalled."""
        asyncio.run(self._judge(work, out, meter, show))

    async def _judge(
        self, work: Iterable[ShardWork], out: ShardFolder, meter: Meter, show: Show
    ) -> None:
        def watch(judged: Judged) -> None:
            meter.add(judged)
            show(meter)

        async with LanguageModel(self.endpoints, patience=self.patience) as model:
            judge = LLMJudge(model, self.labels, self.options)
            before = read_cache(await model.metrics())
            looking = asyncio.create_task(_look(model, before, meter))
            try:
                await judge_shards(
                    *(work, judge, out), limits=self.limits, watch=watch, resumed=meter.resume
                )
                meter.cache_hits = read_cache(await model.metrics()).since(before)
            finally:
                looking.cancel()
                with suppress(asyncio.CancelledError):
                    await looking


async def _look(model: LanguageModel, before: CacheReading, meter: Meter) -> None:
    """Keep the share of prefix-cache hits up to date."""
    while True:
        await asyncio.sleep(_LOOK_S)
        meter.cache_hits = read_cache(await model.metrics()).since(before)
