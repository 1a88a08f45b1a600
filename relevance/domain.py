"""The values everything speaks in: items, evidence spans, chains of thought, judgements.

All are frozen and cannot be built wrong. How they are written down stands in
`chain_of_thought.py` and `records.py`; how they are found, in `teacher/`.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from relevance.aspects import OTHER, aspect_names
from relevance.errors import BadInput

NOT_STATED = "(not stated)"  # how a silent item is written down, hence no offered value
LOG_ODDS_LIMIT = 8.0  # stored log-odds are clipped to ± this (sigmoid(8) = 0.99966)


class Label(StrEnum):
    """The two grades of a pair: the item answers everything the query asks for, or not."""

    GOOD = "Good"
    BAD = "Bad"


class Verdict(StrEnum):
    """What the item says to one asked aspect; MISSING where it is silent."""

    MATCH = "match"
    MISMATCH = "mismatch"
    MISSING = "missing"


class Side(StrEnum):
    """The text a span points into."""

    QUERY = "query"
    TITLE = "title"


class Relevance(StrEnum):
    """Whether a span speaks for or against the pair."""

    RELEVANT = "relevant"
    IRRELEVANT = "irrelevant"


class Target(StrEnum):
    """How a judgement's log-odds were read.

    DIRECT: answer first, without reasoning; COT: after one chain of thought; MARGINAL: mean over
    several sampled chains of thought.
    """

    DIRECT = "direct"
    COT = "cot"
    MARGINAL = "marginal"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing sold. Absent fields are empty strings; `attributes` are (name, value) pairs."""

    item_id: str
    title: str
    brand: str = ""
    color: str = ""
    category_path: str = ""
    description: str = ""
    bullet_points: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceSpan:
    """`[start, end)` in characters of the normalised query or title, and what it says."""

    side: Side
    start: int
    end: int
    relevance: Relevance
    aspect: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise BadInput(
                f"evidence span: expected 0 <= start < end, got [{self.start}, {self.end})"
            )
        _check_aspect(self.aspect)


@dataclass(frozen=True, slots=True)
class AspectFinding:
    """One thing the query asks for, what the item offers to it, and the verdict.

    `offered` is None exactly where the verdict is MISSING, and never the words `(not stated)`.
    Values are single-line, trimmed texts.
    """

    aspect: str
    asked: str
    offered: str | None
    verdict: Verdict

    def __post_init__(self) -> None:
        _check_aspect(self.aspect)
        _check_value(self.asked)
        if (self.offered is None) != (self.verdict is Verdict.MISSING):
            raise BadInput(
                f"{self.aspect}: expected an offered value unless the verdict is `missing`, "
                f"got {self.offered!r} with `{self.verdict}`"
            )
        if self.offered is not None:
            _check_value(self.offered)
        if self.offered == NOT_STATED:
            raise BadInput(
                f"{self.aspect}: expected an offered value, got the words {NOT_STATED!r}"
            )


@dataclass(frozen=True, slots=True)
class ChainOfThought:
    """What the query asks for, what the item offers, and the final judgement (paper, Figure 3).

    `cause` is the aspect that made the pair Bad: a mismatching one, or `other` where no verdict
    explains it. Good has no cause.
    """

    findings: tuple[AspectFinding, ...]
    label: Label
    cause: str | None = None

    def __post_init__(self) -> None:
        mismatching = self.mismatching
        if self.label is Label.GOOD and self.cause is not None:
            raise BadInput(f"a Good judgement has no cause, got `{self.cause}`")
        if self.label is Label.BAD and self.cause not in (mismatching or (OTHER,)):
            expected = " or ".join(mismatching or (OTHER,))
            raise BadInput(f"a Bad judgement's cause: expected {expected}, got `{self.cause}`")

    @property
    def mismatching(self) -> tuple[str, ...]:
        """The aspects with a mismatch, in the order they are spoken of."""
        return tuple(f.aspect for f in self.findings if f.verdict is Verdict.MISMATCH)

    @property
    def unexplained(self) -> bool:
        """Bad, though no aspect mismatches."""
        return self.label is Label.BAD and not self.mismatching

    @property
    def overruled(self) -> bool:
        """Good, though an aspect mismatches."""
        return self.label is Label.GOOD and bool(self.mismatching)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judge on one pair and one target.

    `log_odds` is logit(Good) − logit(Bad), clipped to ±8. `held_out_of` names the fold the judge
    had not seen when it judged this labelled pair, is `seen` where it had, None without a label.
    `fingerprint` identifies prompt and model.
    """

    judge: str
    query: str
    item_id: str
    target: Target
    log_odds: float
    fingerprint: str
    held_out_of: str | None = None
    chain_of_thought: ChainOfThought | None = None
    spans: tuple[EvidenceSpan, ...] = field(default=())

    def __post_init__(self) -> None:
        if not -LOG_ODDS_LIMIT <= self.log_odds <= LOG_ODDS_LIMIT:  # also refuses NaN
            raise BadInput(f"log-odds: expected within ±{LOG_ODDS_LIMIT}, got {self.log_odds}")


def conclude(
    findings: tuple[AspectFinding, ...], *, score: float, threshold: float
) -> ChainOfThought:
    """The chain of thought whose judgement is `score >= threshold`, with the cause that follows.

    The first mismatching aspect is the cause of a Bad judgement, `other` where there is none.
    """
    if score >= threshold:
        return ChainOfThought(findings, Label.GOOD)
    mismatches = (f.aspect for f in findings if f.verdict is Verdict.MISMATCH)
    return ChainOfThought(findings, Label.BAD, next(mismatches, OTHER))


def clip_log_odds(log_odds: float) -> float:
    """`log_odds` within the stored range; NaN stays NaN."""
    return math.copysign(min(abs(log_odds), LOG_ODDS_LIMIT), log_odds)


def _check_aspect(name: str) -> None:
    if name not in aspect_names():
        raise BadInput(f"aspect: expected one of {', '.join(aspect_names())}, got `{name}`")


def _check_value(value: str) -> None:
    if not value or value != value.strip() or len(value.splitlines()) != 1:
        raise BadInput(f"an aspect's value: expected one trimmed line of text, got {value!r}")
