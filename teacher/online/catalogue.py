"""The catalogue judge: says whether an item answers a query, how sure it is, and why.

A statistical judge fitted on human labels and a catalogue's fields, not a language model. Its
whole knowledge is a folder of two JSON files; fitting them is `teacher.fit_judge`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from relevance.domain import Item, Judgement, Target, clip_log_odds, conclude
from teacher.online import lexicon, linear_head
from teacher.online.features import FAMILIES, Similarities
from teacher.online.grounding import evidence
from teacher.online.lexicon import Lexicon
from teacher.online.linear_head import JudgeWeights, LinearHead
from teacher.online.pair_reading import PairReader, PairReading

JUDGE = "catalogue"


class CatalogueJudge:
    """Judges pairs of one shop; made by `CatalogueJudge.read`, safe to share between threads."""

    def __init__(self, lexicon: Lexicon, weights: JudgeWeights, *, fingerprint: str) -> None:
        self.lexicon = lexicon
        self.weights = weights
        self.fingerprint = fingerprint
        self._reader = PairReader(lexicon)

    @classmethod
    def read(cls, folder: Path) -> "CatalogueJudge":
        """The judge of a folder; raises `BadInput` where a file is absent or foreign."""
        known, weights = lexicon.read_lexicon(folder), linear_head.read_weights(folder)
        files = (folder / lexicon.FILE, folder / linear_head.FILE)
        return cls(known, weights, fingerprint=lexicon.fingerprint(*files))

    @property
    def threshold(self) -> float:
        """The probability from which a pair is Good."""
        return self.weights.threshold

    def judge(self, query: str, item: Item, similarities: Similarities | None = None) -> Judgement:
        """The judgement of one pair, with its chain of thought and the evidence for it."""
        reading = self._reader.read(query, item, similarities)
        log_odds = self.log_odds(reading)
        return self.judgement(reading, log_odds)

    def contributions(
        self, query: str, item: Item, similarities: Similarities | None = None
    ) -> Mapping[str, float]:
        """What each aspect and each other family adds to the log-odds, before clipping.

        With `bias` the values sum up to the log-odds.
        """
        reading = self._reader.read(query, item, similarities)
        shares: dict[str, float] = {}
        for name, value in self._head(reading).contributions(reading.features).items():
            group = _GROUPS.get(name, name)
            shares[group] = shares.get(group, 0.0) + value
        return shares

    def log_odds(self, reading: PairReading) -> float:
        """Calibrated log-odds of a pair already read, clipped."""
        return clip_log_odds(float(self._head(reading).log_odds(reading.features[None])[0]))

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

    def _head(self, reading: PairReading) -> LinearHead:
        return self.weights.head(has_similarities=reading.has_similarities)


_GROUPS = {
    name: name.rpartition("_")[0] if family == "aspects" else family
    for family, names in FAMILIES.items()
    for name in names
}
