"""What the judge stands on: every family of features left out in turn, on held-out pairs.

Only rankings are compared, so no head is calibrated. The lexicon is the fold's own.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from relevance.folds import split
from relevance.metrics import neg_pr_auc, roc_auc, within_query_auc
from teacher.fit_fold import FoldData, read_pairs_with
from teacher.fit_head import fit_uncalibrated
from teacher.online.features import FAMILIES
from teacher.online.inputs import Inputs
from teacher.online.pair_reading import PairReader, PairReading
from teacher.online.signals import SIMILARITY, STUDENT

EVERYTHING = "everything"
Measures = tuple[float, float, float]  # ROC-AUC, Neg PR-AUC, within-query AUC


def ablate(data: FoldData, reader: PairReader) -> Mapping[str, Measures]:
    """A fold's test measures with everything, and without each family."""
    parts = split(data.assignment, data.pairs, fold=data.fold)
    train, test = (list(read_pairs_with(reader, p, data)) for p in (parts.train, parts.test))
    good, tested = (np.array([bool(p.good) for p in of]) for of in (parts.train, parts.test))
    groups = np.unique([data.group_of(p) for p in parts.train], return_inverse=True)[1]
    queries = [p.query for p in parts.test]
    found = {}
    for name, inputs in _choices(data).items():
        fits = [at for at, r in enumerate(train) if inputs.given_by(r.signals)]
        head = fit_uncalibrated(
            _rows(inputs, [train[n] for n in fits]), good[fits], groups[fits], inputs=inputs
        )
        able = [at for at, r in enumerate(test) if inputs.given_by(r.signals)]
        scores = head.raw(_rows(inputs, [test[at] for at in able]))
        labels, asked = tested[able], [queries[at] for at in able]
        found[name] = (
            roc_auc(labels, scores),
            neg_pr_auc(labels, scores),
            within_query_auc(labels, scores, asked),
        )
    return found


def _choices(data: FoldData) -> dict[str, Inputs]:
    families, signals = tuple(FAMILIES), data.signals
    found = {EVERYTHING: Inputs(families, signals.similarities, signals.students)}
    for family in families:
        kept = tuple(name for name in families if name != family)
        found[family] = Inputs(kept, signals.similarities, signals.students)
    if signals.similarities:
        found[SIMILARITY] = Inputs(families, (), signals.students)
    if signals.students:
        found[STUDENT] = Inputs(families, signals.similarities, ())
    return found


def _rows(inputs: Inputs, readings: Sequence[PairReading]) -> np.ndarray:
    return np.stack([inputs.row(r.features, r.signals) for r in readings])
