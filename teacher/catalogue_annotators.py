"""Two annotators without a language model: each reads by its own policy and forgets at random.

They give the path from annotation to fine-tuning its samples where no large model is at hand; what
they write is only as good as the catalogue judge.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relevance.chain_of_thought import render
from relevance.domain import Item, conclude
from relevance.late_interaction import sigmoid
from teacher.annotation import Annotator, Samples
from teacher.online.catalogue import CatalogueJudge
from teacher.online.features import verdict_counts, with_verdicts
from teacher.online.grounding import Grounded
from teacher.online.pair_reading import PairReading

TEMPERATURE = 0.8  # of drawing the final judgement, as the paper samples with


@dataclass(frozen=True, slots=True)
class Policy:
    """What an annotator reads of an item, and how much it forgets.

    `unread` fields are left out, each finding is dropped with probability `drop`.
    """

    name: str
    unread: tuple[str, ...]
    drop: float


POLICIES = (
    Policy("all-fields", (), 0.3),
    Policy("short-fields", ("description", "bullet_points"), 0.15),
)


class CatalogueAnnotator:
    """Samples chains of thought: the judge's findings with some dropped, judged by what is left."""

    def __init__(self, judge: CatalogueJudge, policy: Policy, *, seed: int = 0) -> None:
        self._judge = judge
        self._policy = policy
        self._seed = seed

    @property
    def name(self) -> str:
        """Judge, policy and seed: what decides every sample."""
        return f"catalogue:{self._judge.fingerprint}:{self._policy.name}:{self._seed}"

    def annotate(
        self, asked: Sequence[tuple[str, Item]], *, samples: int, journal: Path
    ) -> Samples:
        """Samples of a pair depend on the pair alone, not on those beside it.

        They are quickly drawn again, so nothing is journalled.
        """
        return Samples([tuple(self._samples(query, item, samples)) for query, item in asked])

    def _samples(self, query: str, item: Item, samples: int) -> Iterator[str]:
        emptied: Mapping[str, str] = dict.fromkeys(self._policy.unread, "")
        reading = self._judge.reader.read(query, replace(item, **emptied))  # type: ignore[arg-type]
        stream = np.random.default_rng(_entropy(self._seed, self._policy.name, query, item.item_id))
        for _ in range(samples):
            kept = tuple(g for g in reading.grounded if stream.random() >= self._policy.drop)
            yield self._text(reading, kept, stream)

    def _text(
        self, reading: PairReading, kept: tuple[Grounded, ...], stream: np.random.Generator
    ) -> str:
        features = with_verdicts(reading.features, verdict_counts(kept))
        log_odds = self._judge.log_odds([replace(reading, features=features)])[0]
        drawn = stream.random() < sigmoid(np.array(log_odds / TEMPERATURE))
        findings = tuple(one.finding for one in kept)
        thought = conclude(findings, score=float(drawn), threshold=0.5)
        return render(thought)


def catalogue_annotators(judge: CatalogueJudge, *, seed: int = 0) -> tuple[Annotator, ...]:
    """One annotator a policy."""
    return tuple(CatalogueAnnotator(judge, policy, seed=seed) for policy in POLICIES)


def _entropy(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8])
