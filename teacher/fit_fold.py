"""Fits one fold's catalogue judge and judges the fold's labelled pairs with it, each held out.

The order of things: leave out the test items, mine the lexicon, read the pairs, fit the heads on
train, write, judge. The statistics of fitting are `fit_head.py`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relevance.domain import Item, Judgement, clip_log_odds
from relevance.errors import BadInput
from relevance.folds import FoldAssignment, holdout, split
from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from teacher.fit_head import REGULARISATION, THRESHOLD, FittedHead, fit_head
from teacher.judge_pairs import item_of
from teacher.lexicon_edits import NO_EDITS, LexiconEdits, edited
from teacher.mine_lexicon import mine_lexicon
from teacher.online.catalogue import CatalogueJudge
from teacher.online.features import FAMILIES, QUERY_ALONE
from teacher.online.inputs import Inputs
from teacher.online.judge_file import JudgeWeights, write_weights
from teacher.online.lexicon import write_lexicon
from teacher.online.pair_reading import PairReader, PairReading
from teacher.online.signals import SIMILARITY, STUDENT, Signals
from teacher.signal_files import NO_TABLE, SignalTable

Progress = Callable[[Sequence[Pair]], Iterable[Pair]]


@dataclass(frozen=True, slots=True)
class Form:
    """Which numbers no head reads, and how little its linear part is shrunk."""

    left_out: tuple[str, ...]
    regularisation: float


# Where queries are few beside their pairs, numbers of the query alone tell one query's share of
# Good and nothing of others'; where they are many and alike, they help.
USUAL_FORM = Form(QUERY_ALONE, REGULARISATION)
OTHER_FORM = Form((), 0.01)
CLEARLY = 0.0025  # by so much the other form must be better on held-out train pairs


@dataclass(frozen=True, slots=True)
class FoldData:
    """What one fold is fitted on: the shop's items and labelled pairs, and the folds over them.

    Students' scores among the `signals` of train pairs must be of students that had not seen their
    queries (nested out-of-fold), else the judge trusts them too much.
    """

    items: Mapping[str, Item]
    pairs: Sequence[Pair]
    assignment: FoldAssignment
    fold: int
    signals: SignalTable = NO_TABLE
    edits: LexiconEdits = NO_EDITS

    def group_of(self, pair: Pair) -> str:
        """The query variants that must not be torn apart."""
        return self.assignment.assigned(pair.query).group


@dataclass(frozen=True, slots=True)
class JudgedFold:
    """The judgements of a fold's three parts, in the order of their pairs."""

    train: tuple[Judgement, ...]
    validation: tuple[Judgement, ...]
    test: tuple[Judgement, ...]

    @property
    def parts(self) -> dict[str, tuple[Judgement, ...]]:
        """Each part under the name people read."""
        return {
            "train, held out": self.train,
            "validation": self.validation,
            "test (look once, choose nothing by it)": self.test,
        }


@dataclass(frozen=True, slots=True)
class FittedFold:
    """A fold's judgements, and those without any student's score (None where there is none)."""

    judged: JudgedFold
    without_student: JudgedFold | None


def fit_fold(
    data: FoldData,
    folder: Path,
    *,
    without: frozenset[str] = frozenset(),
    progress: Progress = lambda pairs: pairs,
) -> FittedFold:
    """Write the fold's judge into `folder` and return its judgements.

    Train pairs get the log-odds of an inner fold that had not seen their query, all others those
    of the judge as written. The lexicon reads no label and no test item. The feature families
    `without` are left out, for ablations.
    """
    wanted = _inputs(data.signals, without)
    parts = split(data.assignment, data.pairs, fold=data.fold)
    held = holdout(parts)
    kept = [i for i in data.items.values() if not held.holds_item(i.item_id)]
    lexicon = edited(mine_lexicon(kept), data.edits)
    reader = PairReader(lexicon)
    train = list(read_pairs_with(reader, progress(parts.train), data))
    fitted = _fit_heads(train, parts.train, data, wanted)
    write_lexicon(folder, lexicon)
    about = {"folds": data.assignment.hash, "fold": data.fold, "train_pairs": len(parts.train)}
    heads = tuple(one.fitted.head for one in fitted)
    write_weights(folder, JudgeWeights(heads, THRESHOLD), report=about)
    judge = CatalogueJudge.read(folder)
    others = list(read_pairs_with(reader, progress((*parts.validation, *parts.test)), data))
    fold = _Fold(judge, data.fold, train, others, len(parts.validation))
    alone = [one for one in fitted if not one.fitted.head.inputs.students]
    return FittedFold(
        judged=_judged(fold, fitted),
        without_student=_judged(_blinded(fold), alone) if len(alone) < len(fitted) else None,
    )


def read_pairs_with(
    reader: PairReader, pairs: Iterable[Pair], data: FoldData
) -> Iterator[PairReading]:
    """Each pair as the judge sees it."""
    for pair in pairs:
        signals = data.signals.of(pair.query, pair.item_id)
        yield reader.read(pair.query, item_of(data.items, pair), signals)


@dataclass(frozen=True, slots=True)
class _FittedRows:
    """A fitted head and which train rows it was fitted on: row → place among them."""

    fitted: FittedHead
    place_of: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _Fold:
    """A written judge with the readings it is to judge: train, then validation and test."""

    judge: CatalogueJudge
    fold: int
    train: Sequence[PairReading]
    others: Sequence[PairReading]
    validation: int


def _inputs(signals: SignalTable, without: frozenset[str]) -> list[Inputs]:
    """What each head reads, from the most to the least."""
    optional = {*FAMILIES, SIMILARITY, STUDENT} - {"words"}  # something must be left to judge by
    if not without <= optional:
        known = ", ".join(sorted(optional))
        raise BadInput(f"families to leave out: expected some of {known}, got {sorted(without)}")
    families = tuple(name for name in FAMILIES if name not in without)
    similarities = () if SIMILARITY in without else signals.similarities
    students = () if STUDENT in without else signals.students
    choices = ((similarities, students), ((), students), (similarities, ()), ((), ()))
    return [Inputs(families, *chosen) for chosen in dict.fromkeys(choices)]


def _fit_heads(
    train: Sequence[PairReading], pairs: Sequence[Pair], data: FoldData, wanted: Sequence[Inputs]
) -> list[_FittedRows]:
    """A head for each set of inputs that any train pair can feed, fitted on all that can."""
    good = np.array([bool(pair.good) for pair in pairs])
    groups = np.unique([data.group_of(pair) for pair in pairs], return_inverse=True)[1]

    def fitted(inputs: Inputs, form: Form) -> _FittedRows | None:
        read = replace(inputs, left_out=form.left_out)
        at = [row for row, reading in enumerate(train) if read.given_by(reading.signals)]
        if not at:
            return None
        rows = np.stack([read.row(train[n].features, train[n].signals) for n in at])
        head = fit_head(rows, good[at], groups[at], inputs=read, regularisation=form.regularisation)
        return _FittedRows(head, {row: place for place, row in enumerate(at)})

    usual, other = (fitted(wanted[-1], form) for form in (USUAL_FORM, OTHER_FORM))
    assert usual is not None  # the last inputs need no signal
    assert other is not None
    is_better = _held_out_merit(other, good) > _held_out_merit(usual, good) + CLEARLY
    form, last = (OTHER_FORM, other) if is_better else (USUAL_FORM, usual)
    found = [*(fitted(inputs, form) for inputs in wanted[:-1]), last]
    return [each for each in found if each is not None]


def _held_out_merit(fitted: _FittedRows, good: np.ndarray) -> float:
    """Mean of ROC-AUC and Neg PR-AUC of what each train pair got from a head not fitted on it."""
    labels, log_odds = good[list(fitted.place_of)], fitted.fitted.held_out
    return (roc_auc(labels, log_odds) + neg_pr_auc(labels, log_odds)) / 2


def _blinded(fold: _Fold) -> _Fold:
    """The same fold without any student's score."""
    train, others = (
        [replace_signals(r, Signals(r.signals.similarities)) for r in readings]
        for readings in (fold.train, fold.others)
    )
    return _Fold(fold.judge, fold.fold, train, others, fold.validation)


def replace_signals(reading: PairReading, signals: Signals) -> PairReading:
    """The same pair with other signals."""
    return PairReading(reading.query, reading.item, reading.grounded, reading.features, signals)


def _judged(fold: _Fold, fitted: Sequence[_FittedRows]) -> JudgedFold:
    judge, outer = fold.judge, f"outer-{fold.fold}"
    scored = zip(fold.others, judge.log_odds(fold.others).tolist(), strict=True)
    others = [judge.judgement(r, log_odds, held_out_of=outer) for r, log_odds in scored]
    return JudgedFold(
        train=tuple(_cross_fitted(judge, fold.train, fitted)),
        validation=tuple(others[: fold.validation]),
        test=tuple(others[fold.validation :]),
    )


def _cross_fitted(
    judge: CatalogueJudge, train: Sequence[PairReading], fitted: Sequence[_FittedRows]
) -> Iterator[Judgement]:
    """Each train pair as judged by the inner fold that had not seen it."""
    for row, reading in enumerate(train):
        rows = next(one for one in fitted if one.fitted.head.inputs.given_by(reading.signals))
        place = rows.place_of[row]
        log_odds = clip_log_odds(float(rows.fitted.held_out[place]))
        inner = f"inner-{rows.fitted.inner[place]}"
        yield judge.judgement(reading, log_odds, held_out_of=inner)
