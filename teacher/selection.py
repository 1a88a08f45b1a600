"""Self-consistency: of all samples of a pair the one to learn from, or none (paper, Eq. 2).

Label-consistent, then the one whose verdicts the other label-consistent samples share most, then
the shortest. Who wrote the samples makes no difference; how they are written down is
`annotation.py`'s.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from relevance.chain_of_thought import render
from relevance.domain import ChainOfThought, Label
from relevance.text import fold
from teacher.annotation import AnnotatedPair, Annotation

Verdicts = frozenset[tuple[str, str, str]]  # aspect, what was asked, verdict


class Dropped(StrEnum):
    """Why a pair has no sample to learn from.

    UNREADABLE: no sample is a chain of thought; INCONSISTENT: none concludes the human label.
    """

    UNREADABLE = "unreadable"
    INCONSISTENT = "inconsistent"


@dataclass(frozen=True, slots=True)
class Selected:
    """The chosen sample, its agreement with the other label-consistent ones in [0, 1]."""

    annotation: Annotation
    thought: ChainOfThought
    agreement: float


def select(annotations: Sequence[Annotation], *, good: bool) -> Selected | Dropped:
    """The sample to learn from; the same whatever the order of samples.

    Agreement is the mean Jaccard overlap of a sample's verdicts with those of each other
    label-consistent sample; a lone one agrees with nobody (0).
    """
    read = [(one, thought) for one in annotations if (thought := one.thought) is not None]
    if not read:
        return Dropped.UNREADABLE
    label = Label.GOOD if good else Label.BAD
    kept = [(one, thought) for one, thought in read if thought.label is label]
    if not kept:
        return Dropped.INCONSISTENT
    verdicts = [verdicts_of(thought) for _, thought in kept]
    shares = [
        _mean([overlap(own, other) for at, other in enumerate(verdicts) if at != place])
        for place, own in enumerate(verdicts)
    ]
    best = min(range(len(kept)), key=lambda at: _rank(kept[at], shares[at]))
    return Selected(kept[best][0], kept[best][1], shares[best])


def verdicts_of(thought: ChainOfThought) -> Verdicts:
    """A chain's verdicts, compared without case."""
    return frozenset((f.aspect, fold(f.asked).text, f.verdict) for f in thought.findings)


def overlap(one: Verdicts, other: Verdicts) -> float:
    """Jaccard overlap; two empty sets agree."""
    return len(one & other) / len(one | other) if one | other else 1.0


@dataclass
class Statistics:
    """Counts over many pairs; `add` each, then read the shares. Not shared between threads."""

    pairs: Counter[Label] = field(default_factory=Counter)
    dropped: Counter[tuple[Label, Dropped]] = field(default_factory=Counter)
    samples: Counter[str] = field(default_factory=Counter)
    readable: Counter[str] = field(default_factory=Counter)
    consistent: Counter[str] = field(default_factory=Counter)
    chosen: Counter[str] = field(default_factory=Counter)
    agreement: float = 0.0
    between: float = 0.0
    compared: int = 0
    unexplained: int = 0

    def add(self, pair: AnnotatedPair, *, good: bool) -> Selected | Dropped:
        """Select, and count what came of it."""
        label, found = Label.GOOD if good else Label.BAD, select(pair.annotations, good=good)
        self.pairs[label] += 1
        for one in pair.annotations:
            self.samples[one.annotator] += 1
            if (thought := one.thought) is not None:
                self.readable[one.annotator] += 1
                self.consistent[one.annotator] += thought.label is label
        self._compare(pair.annotations)
        if isinstance(found, Dropped):
            self.dropped[label, found] += 1
        else:
            self.chosen[found.annotation.annotator] += 1
            self.agreement += found.agreement
            self.unexplained += found.thought.unexplained
        return found

    def content(self) -> dict[str, object]:
        """The statistics as plain data, shares beside counts."""
        pairs, kept = self.pairs.total(), self.chosen.total()
        return {
            "pairs": pairs,
            "selected": kept,
            "drop_rate": self.dropped.total() / max(pairs, 1),
            "drop_rate_of": {
                label: sum(n for (of, _), n in self.dropped.items() if of is label)
                / max(self.pairs[label], 1)
                for label in Label
            },
            "dropped": {
                why: sum(n for (_, of), n in self.dropped.items() if of is why) for why in Dropped
            },
            "annotators": {
                name: {
                    "samples": n,
                    "readable": self.readable[name] / n,
                    "label_consistent": self.consistent[name] / max(self.readable[name], 1),
                    "chosen": self.chosen[name] / max(kept, 1),
                }
                for name, n in sorted(self.samples.items())
            },
            "agreement_of_selected": self.agreement / max(kept, 1),
            "agreement_between_annotators": self.between / max(self.compared, 1),
            "selected_without_explanation": self.unexplained / max(kept, 1),
        }

    def _compare(self, annotations: Iterable[Annotation]) -> None:
        """Overlap of verdicts between samples of different annotators, each pair of them once."""
        read = [(one.annotator, thought) for one in annotations if (thought := one.thought)]
        for at, (name, thought) in enumerate(read):
            for other_name, other in read[at + 1 :]:
                if other_name != name:
                    self.between += overlap(verdicts_of(thought), verdicts_of(other))
                    self.compared += 1


def selected_row(pair: AnnotatedPair, found: Selected, *, good: bool) -> dict[str, object]:
    """A training row: the pair and the canonical text to learn, and where it came from."""
    return {
        "query": pair.query,
        "item_id": pair.item_id,
        "good": int(good),
        "chain_of_thought": render(found.thought),
        "annotator": found.annotation.annotator,
        "agreement": found.agreement,
    }


def _rank(
    kept: tuple[Annotation, ChainOfThought], agreement: float
) -> tuple[float, int, str, str, int]:
    one, thought = kept
    text = render(thought)
    return (-agreement, len(text), text, one.annotator, one.sample)


def _mean(values: Sequence[float]) -> float:
    """Of values in any order the same bits, so that ties stay ties."""
    return math.fsum(values) / len(values) if values else 0.0
