"""The catalogue judge: says whether an item answers a query, how sure it is, and why.

A statistical judge fitted on human labels and a catalogue's fields, not a language model. Its
whole knowledge is a folder of two JSON files; fitting them is `teacher.fit_fold`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from relevance.domain import Item, Judgement, Target, clip_log_odds, conclude
from teacher.online import judge_file, lexicon
from teacher.online.grounding import evidence
from teacher.online.head import Head
from teacher.online.judge_file import JudgeWeights
from teacher.online.lexicon import Lexicon
from teacher.online.pair_reading import PairReader, PairReading
from teacher.online.signals import NO_SIGNALS, Signals

JUDGE = "catalogue"


class CatalogueJudge:
    """Judges pairs of one shop; made by `CatalogueJudge.read`, safe to share between threads."""

    def __init__(self, lexicon: Lexicon, weights: JudgeWeights, *, fingerprint: str) -> None:
        self.lexicon = lexicon
        self.weights = weights
        self.fingerprint = fingerprint
        self.reader = PairReader(lexicon)

    @classmethod
    def read(cls, folder: Path) -> "CatalogueJudge":
        """The judge of a folder; raises `BadInput` where a file is absent or foreign."""
        known, weights = lexicon.read_lexicon(folder), judge_file.read_weights(folder)
        files = (folder / lexicon.FILE, folder / judge_file.FILE)
        return cls(known, weights, fingerprint=lexicon.fingerprint(*files))

    @property
    def threshold(self) -> float:
        """The probability from which a pair is Good."""
        return self.weights.threshold

    def judge(self, query: str, item: Item, signals: Signals = NO_SIGNALS) -> Judgement:
        """The judgement of one pair, with its chain of thought and the evidence for it."""
        reading = self.reader.read(query, item, signals)
        return self.judgement(reading, float(self.log_odds([reading])[0]))

    def contributions(
        self, query: str, item: Item, signals: Signals = NO_SIGNALS
    ) -> Mapping[str, float]:
        """What each aspect and each other family adds to the log-odds, before clipping.

        With `bias` the values sum up to the log-odds.
        """
        reading = self.reader.read(query, item, signals)
        head = self.weights.head(signals)
        return head.contributions(head.inputs.row(reading.features, signals))

    def log_odds(self, readings: Sequence[PairReading]) -> Float[np.ndarray, " pairs"]:
        """Calibrated log-odds of pairs already read, clipped; the same bits alone and together."""
        of_head: dict[int, list[int]] = defaultdict(list)
        heads: dict[int, Head] = {}
        for at, reading in enumerate(readings):
            head = self.weights.head(reading.signals)
            of_head[id(head)].append(at)
            heads[id(head)] = head
        found = np.zeros(len(readings))
        for key, places in of_head.items():
            inputs = heads[key].inputs
            rows = [inputs.row(readings[at].features, readings[at].signals) for at in places]
            found[places] = heads[key].log_odds(np.stack(rows))
        return np.array([clip_log_odds(float(value)) for value in found])

    def judgement(
        self, reading: PairReading, log_odds: float, *, held_out_of: str | None = None
    ) -> Judgement:
        """The judgement that follows from a pair's findings and a log-odds."""
        findings = tuple(one.finding for one in reading.grounded)
        probability = 1 / (1 + np.exp(-log_odds))
        thought = conclude(findings, score=probability, threshold=self.threshold)
        return Judgement(
            judge=JUDGE,
            query=reading.query.text,
            item_id=reading.item.item_id,
            target=Target.DIRECT,
            log_odds=log_odds,
            fingerprint=self.fingerprint,
            held_out_of=held_out_of,
            chain_of_thought=thought,
            spans=evidence(reading.grounded, thought.label),
        )
