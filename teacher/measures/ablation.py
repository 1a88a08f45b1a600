"""What the judge stands on: every family of features left out in turn, on held-out pairs.

Only rankings are compared, so no head is calibrated. The lexicon is the fold's own. Pairs that lack
a signal are left out of every row, so that all rows are of the same pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from relevance.bootstrap import PairedScores, Statistic, paired_difference
from relevance.errors import BadInput
from relevance.folds import split
from relevance.metrics import neg_pr_auc, roc_auc, within_query_auc
from relevance.records import Pair
from teacher.fit_fold import FoldData, read_pairs_with
from teacher.fit_head import fit_uncalibrated
from teacher.online.features import FAMILIES, QUERY_ALONE
from teacher.online.inputs import Inputs
from teacher.online.pair_reading import PairReader, PairReading
from teacher.online.signals import SIMILARITY, STUDENT

EVERYTHING = "everything"
# Kinds of similarity columns, by their names as `ellm train pool` writes them.
COLUMN_GROUPS: Mapping[str, Callable[[str], bool]] = {
    "similarities with the title": lambda name: name.endswith("_title"),
    "similarities with the text": lambda name: name.endswith("_text"),
    "minima": lambda name: name.startswith("min_"),
}
DIFFERENCES: Mapping[str, Statistic] = {"roc_auc": roc_auc, "neg_pr_auc": neg_pr_auc}


@dataclass(frozen=True, slots=True, eq=False)
class FoldAblation:
    """A fold's test pairs, and their scores by heads fitted without something (its name)."""

    good: Bool[np.ndarray, " pairs"]
    queries: Sequence[str]
    groups: Sequence[str]
    scores: Mapping[str, Float[np.ndarray, " pairs"]]


def ablate(data: FoldData, reader: PairReader) -> FoldAblation:
    """Fit a head on the fold's train part with everything, and one without each family."""
    parts = split(data.assignment, data.pairs, fold=data.fold)
    told = (data.signals.similarities, data.signals.students)
    everything = Inputs(tuple(FAMILIES), *told, QUERY_ALONE)
    train, learned = _readings(parts.train, reader, data, everything)
    tested, test = _readings(parts.test, reader, data, everything)
    good = np.array([bool(pair.good) for pair in train])
    groups = np.unique([data.group_of(pair) for pair in train], return_inverse=True)[1]
    scores = {}
    for name, inputs in choices(everything).items():
        head = fit_uncalibrated(_rows(inputs, learned), good, groups, inputs=inputs)
        scores[name] = head.raw(_rows(inputs, test))
    return FoldAblation(
        good=np.array([bool(pair.good) for pair in tested]),
        queries=[pair.query for pair in tested],
        groups=[data.group_of(pair) for pair in tested],
        scores=scores,
    )


def choices(everything: Inputs) -> dict[str, Inputs]:
    """What each row's head reads, by what was left out; rows that would be equal come once."""
    families = {
        family: replace(everything, families=_without(everything.families, {family}))
        for family in everything.families
    }
    columns = {
        name: {column for column in everything.similarities if belongs(column)}
        for name, belongs in COLUMN_GROUPS.items()
    }
    groups = {
        name: replace(everything, similarities=_without(everything.similarities, group))
        for name, group in columns.items()
        if group and group != set(everything.similarities)
    }
    found = {EVERYTHING: everything, **families, **groups}
    if everything.similarities:
        found[SIMILARITY] = replace(everything, similarities=())
    if everything.students:
        found[STUDENT] = replace(everything, students=())
    return found


def compare(folds: Sequence[FoldAblation]) -> dict[str, dict[str, object]]:
    """Means over folds by row, and the difference to everything with its paired interval."""
    found: dict[str, dict[str, object]] = {}
    for name in folds[0].scores:
        measures = [
            (
                roc_auc(fold.good, fold.scores[name]),
                neg_pr_auc(fold.good, fold.scores[name]),
                within_query_auc(fold.good, fold.scores[name], fold.queries),
            )
            for fold in folds
        ]
        found[name] = {"measures": np.mean(measures, axis=0).tolist()}
        if name != EVERYTHING:
            paired = [
                PairedScores(f.good, f.scores[name], f.scores[EVERYTHING], f.groups) for f in folds
            ]
            found[name]["differences"] = {
                measure: asdict(paired_difference(paired, statistic))
                for measure, statistic in DIFFERENCES.items()
            }
    return found


def _readings(
    pairs: Sequence[Pair], reader: PairReader, data: FoldData, wanted: Inputs
) -> tuple[list[Pair], list[PairReading]]:
    """The pairs that can feed every row, as the judge sees them."""
    read = zip(pairs, read_pairs_with(reader, pairs, data), strict=True)
    able = [(pair, reading) for pair, reading in read if wanted.given_by(reading.signals)]
    if not able:
        raise BadInput(f"ablation: expected pairs with every signal in fold {data.fold}, got none")
    return [pair for pair, _ in able], [reading for _, reading in able]


def _without(names: tuple[str, ...], gone: set[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in gone)


def _rows(inputs: Inputs, readings: Sequence[PairReading]) -> np.ndarray:
    return np.stack([inputs.row(r.features, r.signals) for r in readings])
