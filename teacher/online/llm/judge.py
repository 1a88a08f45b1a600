"""The language model as a judge: a pair in, judgements with reasons and log-odds out.

Offline jobs and `/explain` both come here. How requests reach an engine is `client.py`'s; how many
run at once and where results lie, the job's.
"""

import asyncio
import hashlib
import json
import math
from collections import Counter
from dataclasses import asdict, dataclass

from relevance.chain_of_thought import JUDGEMENT_HEADING
from relevance.domain import AspectFinding, Item, Judgement, Target, conclude
from relevance.errors import BadInput, MalformedText
from relevance.text import normalise
from teacher.online.llm.client import LanguageModel
from teacher.online.llm.log_odds import LabelTokens, Read, mean_log_odds, read_log_odds
from teacher.online.llm.prompt import DEFAULT_STYLE, Messages, Mode, PromptStyle, prompt
from teacher.online.llm.reasoning import write_reasons
from teacher.online.llm.reply import read_findings, spans_of
from teacher.online.llm.wire import ReadBy, Sampling, Usage

TARGETS = (Target.COT, Target.MARGINAL, Target.DIRECT)  # the order of a pair's rows


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What is asked of the model for every pair.

    `threshold` is the probability from which a pair is Good. With `Target.MARGINAL` a pair whose
    `cot` log-odds lie within ±`uncertain` gets the mean over `samples` more chains of thought,
    drawn at `temperature`. At 1 they come from the model's own distribution; the paper's way of
    drawing for annotation (3.2.1), cooler and cut off, would hide how unsure a verdict is.
    `max_tokens` bounds each part of an answer.
    """

    targets: frozenset[Target] = frozenset({Target.COT, Target.DIRECT})
    style: PromptStyle = DEFAULT_STYLE
    structured: bool = True
    read_by: ReadBy = ReadBy.LOGPROBS
    threshold: float = 0.5
    uncertain: float = 2.2  # sigmoid(2.2) = 0.9
    samples: int = 5
    temperature: float = 1.0
    max_tokens: int = 384
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.targets:
            raise BadInput("targets: expected at least one of direct, cot, marginal")
        if Target.MARGINAL in self.targets and Target.COT not in self.targets:
            raise BadInput("targets: expected `cot` beside `marginal`, which starts from it")
        if not 0 < self.threshold < 1:
            raise BadInput(f"threshold: expected a probability, got {self.threshold}")

    def fingerprint(self, model: str) -> str:
        """Twelve hex digits over model, prompt and everything that decides a judgement."""
        told = {**asdict(self), "targets": sorted(self.targets), "style": self.style.fingerprint}
        content = json.dumps([model, told], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a pair: its judgements in the order of `TARGETS`, and what they cost.

    `fault` says why there is no chain of thought, or nothing at all; None where all went well.
    """

    judgements: tuple[Judgement, ...]
    usage: Usage = Usage()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Reasons:
    """A chain of thought up to its judgement, and the log-odds read there; or why there is none."""

    findings: tuple[AspectFinding, ...] = ()
    log_odds: float = math.nan
    usage: Usage = Usage()
    fault: str | None = None


class LLMJudge:
    """Judges pairs by one model; for one event loop."""

    def __init__(self, model: LanguageModel, labels: LabelTokens, options: JudgeOptions) -> None:
        self._model = model
        self._labels = labels
        self._options = options
        self.name = f"llm:{model.name}"
        self.fingerprint = options.fingerprint(model.name)

    async def judge(self, query: str, item: Item, *, held_out_of: str | None = None) -> Judged:
        """The pair's judgements. Raises `EndpointFault` where the model cannot be asked."""
        wanted, scores, usage = self._options.targets, dict[Target, float](), Usage()
        reasons = _Reasons()
        if Target.COT in wanted:
            reasons = await self._reasons(query, item)
            usage += reasons.usage
            if reasons.fault is None:
                scores[Target.COT] = reasons.log_odds
        if Target.MARGINAL in wanted and abs(reasons.log_odds) < self._options.uncertain:
            marginal, cost = await self._marginal(query, item)
            usage += cost
            if marginal is not None:
                scores[Target.MARGINAL] = marginal
        if Target.DIRECT in wanted:
            direct = await self._read(self._messages(query, item, Mode.DIRECT))
            usage += direct.usage
            scores[Target.DIRECT] = direct.log_odds
        rows = (
            self._judgement(query, item, target, scores[target], reasons, held_out_of)
            for target in TARGETS
            if target in scores
        )
        return Judged(tuple(rows), usage, reasons.fault)

    async def _reasons(self, query: str, item: Item) -> _Reasons:
        """The most likely chain of thought and its log-odds."""
        options, messages = self._options, self._messages(query, item, Mode.COT)
        written = await write_reasons(
            self._model,
            messages,
            Sampling(max_tokens=options.max_tokens),
            structured=options.structured,
        )
        if written.truncated:
            return _Reasons(usage=written.usage, fault="truncated")
        (text,) = written.texts
        try:
            findings = read_findings(text)
        except MalformedText:
            return _Reasons(usage=written.usage, fault="unreadable")
        read = await self._read(messages, begun=text, prefer=written.endpoint)
        return _Reasons(findings, read.log_odds, written.usage + read.usage)

    async def _marginal(self, query: str, item: Item) -> tuple[float | None, Usage]:
        """The log-odds of the mean probability over drawn chains of thought that can be read.

        Equal ones are read once and count as often as they were drawn.
        """
        options, messages = self._options, self._messages(query, item, Mode.COT)
        drawn = Sampling(
            temperature=options.temperature,
            samples=options.samples,
            max_tokens=options.max_tokens,
            seed=options.seed,
        )
        written = await write_reasons(self._model, messages, drawn, structured=options.structured)
        times = Counter(filter(_is_readable, written.whole))
        reads = await asyncio.gather(
            *(self._read(messages, begun=text, prefer=written.endpoint) for text in times)
        )
        told = [
            read.log_odds
            for read, number in zip(reads, times.values(), strict=True)
            for _ in range(number)
        ]
        usage = sum((read.usage for read in reads), written.usage)
        return mean_log_odds(told) if told else None, usage

    async def _read(
        self, messages: Messages, *, begun: str = JUDGEMENT_HEADING, prefer: int | None = None
    ) -> Read:
        return await read_log_odds(
            self._model,
            messages,
            self._labels,
            begun=begun,
            read_by=self._options.read_by,
            prefer=prefer,
        )

    def _messages(self, query: str, item: Item, mode: Mode) -> Messages:
        return prompt(query, item, mode=mode, style=self._options.style)

    def _judgement(
        self,
        query: str,
        item: Item,
        target: Target,
        log_odds: float,
        reasons: _Reasons,
        held_out_of: str | None,
    ) -> Judgement:
        """One row. The reasons of the likeliest chain of thought stand beside every target."""
        thought = None
        if Target.COT in self._options.targets and reasons.fault is None:
            share = 1 / (1 + math.exp(-log_odds))
            thought = conclude(reasons.findings, score=share, threshold=self._options.threshold)
        return Judgement(
            judge=self.name,
            query=normalise(query),
            item_id=item.item_id,
            target=target,
            log_odds=log_odds,
            fingerprint=self.fingerprint,
            held_out_of=held_out_of,
            chain_of_thought=thought,
            spans=spans_of(thought, query, item.title) if thought else (),
        )


def _is_readable(text: str) -> bool:
    try:
        read_findings(text)
    except MalformedText:
        return False
    return True
