"""One labelled pair with what teacher and student say of it, and who stands alone.

Reading and joining the files is `sources.py`'s, counting `tables.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from relevance.domain import Item, Judgement, Label
from relevance.late_interaction import sigmoid
from relevance.records import Pair


class Kind(StrEnum):
    """Who disagrees with whom on a pair; the table stands in docs/audit.md.

    Without a student's score a pair is agreed on or its label is suspected.
    """

    LABEL_SUSPECTED = "label_suspected"
    STUDENT_MISSED = "student_missed"
    STUDENT_REJECTED = "student_rejected"
    TEACHER_MISSED = "teacher_missed"
    TEACHER_REJECTED = "teacher_rejected"
    AGREED = "agreed"


@dataclass(frozen=True, slots=True)
class Case:
    """A human-labelled pair that the teacher judged; `logit` is the student's, None without one.

    `is_head` tells a head query from the long tail.
    """

    pair: Pair
    item: Item
    judgement: Judgement
    logit: float | None
    is_head: bool

    @property
    def human(self) -> Label:
        """The label a person gave."""
        return label_of(self.pair.good is True)

    @property
    def teacher(self) -> Label:
        """What the chain of thought concludes; without one, the sign of the log-odds."""
        thought = self.judgement.chain_of_thought
        return label_of(self.judgement.log_odds >= 0) if thought is None else thought.label

    @property
    def student(self) -> Label | None:
        """The student's decision at one half, as the service's."""
        return None if self.logit is None else label_of(self.logit >= 0)

    @property
    def cause(self) -> str | None:
        """The aspect that makes the pair Bad by the teacher."""
        thought = self.judgement.chain_of_thought
        return None if thought is None else thought.cause

    @property
    def mismatching(self) -> tuple[str, ...]:
        """The aspects in which the teacher sees a mismatch, whatever it concludes."""
        thought = self.judgement.chain_of_thought
        return () if thought is None else tuple(dict.fromkeys(thought.mismatching))

    @property
    def against_label(self) -> float:
        """The teacher's log-odds of the other label."""
        return -self.judgement.log_odds if self.human is Label.GOOD else self.judgement.log_odds

    @property
    def suspicion(self) -> float:
        """The teacher's probability of the other label."""
        return probability(self.against_label)

    @property
    def student_is_wrong(self) -> bool:
        """Whether the student decides against the label."""
        return self.student is not None and self.student is not self.human

    @property
    def teacher_is_wrong(self) -> bool:
        """Whether the teacher decides against the label."""
        return self.teacher is not self.human

    @property
    def kind(self) -> Kind:
        """Who stands alone."""
        return _KINDS[self.human, self.teacher, self.student]


def label_of(is_good: bool) -> Label:
    """The label's name."""
    return Label.GOOD if is_good else Label.BAD


def probability(logit: float) -> float:
    """The sigmoid of one logit."""
    return float(sigmoid(np.array(logit, np.float64)))


def suspected_first(cases: Sequence[Case]) -> list[Case]:
    """Those most likely mislabelled first: by the teacher's log-odds against the label.

    The student only breaks ties: averaged in, it made the ranking worse (docs/audit.md).
    """
    return sorted(cases, key=lambda case: (-case.against_label, -student_against_label(case)))


def student_against_label(case: Case) -> float:
    """The student's logit of the other label; 0 where it gave no score."""
    logit = case.logit or 0.0
    return -logit if case.human is Label.GOOD else logit


_G, _B = Label.GOOD, Label.BAD
_KINDS: dict[tuple[Label, Label, Label | None], Kind] = {
    (_G, _G, _G): Kind.AGREED,
    (_B, _B, _B): Kind.AGREED,
    (_G, _G, None): Kind.AGREED,
    (_B, _B, None): Kind.AGREED,
    (_G, _B, _B): Kind.LABEL_SUSPECTED,
    (_B, _G, _G): Kind.LABEL_SUSPECTED,
    (_G, _B, None): Kind.LABEL_SUSPECTED,
    (_B, _G, None): Kind.LABEL_SUSPECTED,
    (_B, _B, _G): Kind.STUDENT_MISSED,
    (_G, _G, _B): Kind.STUDENT_REJECTED,
    (_B, _G, _B): Kind.TEACHER_MISSED,
    (_G, _B, _G): Kind.TEACHER_REJECTED,
}
