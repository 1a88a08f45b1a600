"""Judges any pairs with a fitted judge: pseudo-labels with reasons; and sums up judgements.

One judgement's making is `teacher.online.catalogue`'s; held-out judgements of labelled pairs come
from `fit_fold.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from relevance.domain import ChainOfThought, Item, Judgement, Label
from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from relevance.metrics import calibration_error, neg_pr_auc, roc_auc, within_query_auc
from relevance.records import Pair
from teacher.online.catalogue import CatalogueJudge
from teacher.signal_files import SignalTable

_AT_ONCE = 512  # pairs whose features are scored together
SEEN = "seen"  # a labelled pair the judge may have been fitted on


def judge_pairs(
    judge: CatalogueJudge,
    pairs: Iterable[Pair],
    items: Mapping[str, Item],
    signals: SignalTable,
) -> Iterator[Judgement]:
    """A judgement for every pair, in order and in constant memory.

    Raises `BadInput` where the catalogue lacks a pair's item. Pairs with a label are marked as
    seen: nothing here proves that the judge was held out of them.
    """
    coming = iter(pairs)
    while chunk := list(islice(coming, _AT_ONCE)):
        readings = [
            judge.reader.read(p.query, item_of(items, p), signals.of(p.query, p.item_id))
            for p in chunk
        ]
        scored = zip(chunk, readings, judge.log_odds(readings).tolist(), strict=True)
        for pair, reading, log_odds in scored:
            seen = None if pair.good is None else SEEN
            yield judge.judgement(reading, log_odds, held_out_of=seen)


def item_of(items: Mapping[str, Item], pair: Pair) -> Item:
    """The pair's item; raises `BadInput` where the catalogue lacks it."""
    if pair.item_id not in items:
        raise BadInput(
            f"the pair ({pair.query!r}, `{pair.item_id}`): the catalogue has no such item"
        )
    return items[pair.item_id]


@dataclass(frozen=True, slots=True)
class Summary:
    """How judgements turned out: their number, the shares called Good and left without a reason.

    `unexplained` is the share of Bad ones where no aspect mismatches, `overruled` the share of
    Good ones where one does.
    """

    judgements: int
    good: float
    unexplained: float
    overruled: float

    def __str__(self) -> str:
        return (
            f"{self.judgements} judgements, Good {self.good:.1%}, "
            f"unexplained {self.unexplained:.1%} of Bad, overruled {self.overruled:.1%} of Good"
        )


Told = tuple[str, ChainOfThought | None]  # a judgement's target and its reasons


def summary(judgements: Iterable[Judgement]) -> Summary:
    """Count verdicts."""
    return summary_of(count((j.target, j.chain_of_thought) for j in judgements))


def count(judgements: Iterable[Told]) -> Counter[str]:
    """How judgements turned out, as numbers that can be added up; `summary_of` reads them."""
    counts: Counter[str] = Counter()
    for target, thought in judgements:
        counts.update({"judgements": 1, f"target: {target}": 1})
        if thought is not None:
            counts[str(thought.label)] += 1
            counts["unexplained"] += thought.unexplained
            counts["overruled"] += thought.overruled
    return counts


def summary_of(counts: Mapping[str, int]) -> Summary:
    """What was counted, as shares."""
    good, bad = counts.get(Label.GOOD, 0), counts.get(Label.BAD, 0)
    return Summary(
        judgements=counts.get("judgements", 0),
        good=good / max(good + bad, 1),
        unexplained=counts.get("unexplained", 0) / max(bad, 1),
        overruled=counts.get("overruled", 0) / max(good, 1),
    )


def measures(judgements: Sequence[Judgement], good: Sequence[bool]) -> str:
    """One line of how well log-odds separate human labels; `Bad` is Neg PR-AUC's base rate."""
    labels = np.array(good, dtype=bool)
    log_odds = np.array([j.log_odds for j in judgements])
    within = within_query_auc(labels, log_odds, [j.query for j in judgements])
    return (
        f"ROC-AUC {roc_auc(labels, log_odds):.3f}  within queries {within:.3f}  "
        f"Neg PR-AUC {neg_pr_auc(labels, log_odds):.3f} (Bad {1 - labels.mean():.3f})  "
        f"calibration error {calibration_error(labels, sigmoid(log_odds)):.3f}"
    )
