"""Fits one fold's catalogue judge and judges the fold's labelled pairs with it, each held out.

The order of things: leave out the test items, mine the lexicon, read the pairs, fit both heads on
train, write, judge. The statistics of fitting are `fit_judge.py`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.domain import Item, Judgement, clip_log_odds
from relevance.errors import BadInput
from relevance.folds import FoldAssignment, holdout, split
from relevance.records import Pair
from teacher.fit_judge import THRESHOLD, FittedHead, fit_head
from teacher.judge_pairs import item_of
from teacher.mine_lexicon import mine_lexicon
from teacher.online.catalogue import CatalogueJudge
from teacher.online.features import FAMILIES, SIMILARITY, Similarities
from teacher.online.lexicon import write_lexicon
from teacher.online.linear_head import JudgeWeights, write_weights
from teacher.online.pair_reading import PairReader, PairReading
from teacher.similarity_file import PairKey

Progress = Callable[[Sequence[Pair]], Iterable[Pair]]


@dataclass(frozen=True, slots=True)
class FoldData:
    """What one fold is fitted on: the shop's items and labelled pairs, and the folds over them."""

    items: Mapping[str, Item]
    pairs: Sequence[Pair]
    assignment: FoldAssignment
    fold: int
    similarities: Mapping[PairKey, Similarities]

    def group_of(self, pair: Pair) -> str:
        """The query variants that must not be torn apart."""
        return self.assignment.assigned(pair.query).group


@dataclass(frozen=True, slots=True)
class JudgedFold:
    """The judgements of a fold's three parts, in the order of their pairs."""

    train: tuple[Judgement, ...]
    validation: tuple[Judgement, ...]
    test: tuple[Judgement, ...]


def fit_fold(
    data: FoldData,
    folder: Path,
    *,
    without: frozenset[str] = frozenset(),
    progress: Progress = lambda pairs: pairs,
) -> JudgedFold:
    """Write the fold's judge into `folder` and return its judgements.

    Train pairs get the log-odds of an inner fold that had not seen their query, all others those
    of the judge as written. The lexicon reads no label and no test item. The feature families
    `without` are left out, for ablations.
    """
    families = _families(without)
    parts = split(data.assignment, data.pairs, fold=data.fold)
    held = holdout(parts)
    lexicon = mine_lexicon([i for i in data.items.values() if not held.holds_item(i.item_id)])
    reader = PairReader(lexicon)
    train = list(read_pairs_with(reader, progress(parts.train), data))
    fitted = _fit_heads(train, parts.train, data, families)
    write_lexicon(folder, lexicon)
    about = {"folds": data.assignment.hash, "fold": data.fold, "train_pairs": len(parts.train)}
    write_weights(folder, _weights(fitted), report=about)
    judge, outer = CatalogueJudge.read(folder), f"outer-{data.fold}"
    others = (*parts.validation, *parts.test)
    judged = [
        judge.judgement(reading, judge.log_odds(reading), held_out_of=outer)
        for reading in read_pairs_with(reader, progress(others), data)
    ]
    cut = len(parts.validation)
    cross_fitted = tuple(_cross_fitted(judge, train, fitted))
    return JudgedFold(cross_fitted, tuple(judged[:cut]), tuple(judged[cut:]))


def read_pairs_with(
    reader: PairReader, pairs: Iterable[Pair], data: FoldData
) -> Iterator[PairReading]:
    """Each pair as the judge sees it."""
    for pair in pairs:
        similarities = data.similarities.get((pair.query, pair.item_id))
        yield reader.read(pair.query, item_of(data.items, pair), similarities)


@dataclass(frozen=True, slots=True)
class _FittedRows:
    """A fitted head and which train rows it was fitted on: row → place among them."""

    fitted: FittedHead
    place_of: Mapping[int, int]


def _families(without: frozenset[str]) -> tuple[str, ...]:
    optional = FAMILIES.keys() - {"words"}  # something must be left to judge by
    if not without <= optional:
        known = ", ".join(sorted(optional))
        raise BadInput(f"families to leave out: expected some of {known}, got {sorted(without)}")
    return tuple(name for name in FAMILIES if name not in without)


def _fit_heads(
    train: Sequence[PairReading], pairs: Sequence[Pair], data: FoldData, families: tuple[str, ...]
) -> dict[bool, _FittedRows]:
    """A head for pairs without similarities (False), fitted on all, and one for those with."""
    good = np.array([bool(pair.good) for pair in pairs])
    groups = np.unique([data.group_of(pair) for pair in pairs], return_inverse=True)[1]
    plain = tuple(name for name in families if name != SIMILARITY)
    similar = [at for at, reading in enumerate(train) if reading.has_similarities]
    wanted = {False: (plain, list(range(len(train))))}
    if similar and SIMILARITY in families:
        wanted[True] = (families, similar)
    fitted = {}
    for key, (used, rows) in wanted.items():
        matrix = np.stack([train[at].features for at in rows])
        head = fit_head(matrix, good[rows], groups[rows], families=used)
        fitted[key] = _FittedRows(head, {row: place for place, row in enumerate(rows)})
    return fitted


def _weights(fitted: Mapping[bool, _FittedRows]) -> JudgeWeights:
    similar = fitted.get(True)
    return JudgeWeights(
        without_similarity=fitted[False].fitted.head,
        with_similarity=similar.fitted.head if similar else None,
        threshold=THRESHOLD,
    )


def _cross_fitted(
    judge: CatalogueJudge, train: Sequence[PairReading], fitted: Mapping[bool, _FittedRows]
) -> Iterator[Judgement]:
    """Each train pair as judged by the inner fold that had not seen it."""
    for row, reading in enumerate(train):
        rows = fitted.get(reading.has_similarities, fitted[False])
        place = rows.place_of[row]
        log_odds = clip_log_odds(float(rows.fitted.held_out[place]))
        inner = f"inner-{rows.fitted.inner[place]}"
        yield judge.judgement(reading, log_odds, held_out_of=inner)
