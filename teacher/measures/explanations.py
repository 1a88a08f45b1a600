"""Are the explanations true? Verdicts alone as a score, unexplained judgements, and deletion.

Deletion: take the evidence of a judgement away and see whether the score moves as the judgement
claims; take random words of the same number away for comparison. All pairs are judged without
signals, since an encoder would have to read the changed texts anew.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from relevance.baselines import token_overlap
from relevance.bootstrap import Interval, PairedScores, paired_difference
from relevance.domain import AspectFinding, Item, Judgement, Label, Relevance, Side, Verdict
from relevance.metrics import roc_auc
from relevance.text import normalise
from teacher.measures.held_out import HeldOut, difference_of_means

_WORTH = {Verdict.MATCH: 1.0, Verdict.MISSING: -0.5, Verdict.MISMATCH: -1.0}  # fitted to nothing
_TEXTS = ("title", "brand", "color", "category_path", "description", "bullet_points")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class VerdictsAlone:
    """ROC-AUC of the mean worth of verdicts, of token overlap, and their difference."""

    verdicts: float
    overlap: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """The share of pairs whose score moves as claimed without evidence, and without random words.

    `of_label` holds for each judged label the pairs and the share that evidence moved.
    """

    pairs: int
    moved_by_evidence: float
    moved_by_random: float
    difference: Interval
    of_label: dict[str, tuple[int, float]]


@dataclass(frozen=True, slots=True)
class _Deletion:
    """A pair without its evidence, or without random words."""

    query: str
    item: Item


def worth(findings: Sequence[AspectFinding]) -> float:
    """Verdicts as a score without any fitted weight: their mean worth, 0 where there are none."""
    return sum(_WORTH[f.verdict] for f in findings) / max(len(findings), 1)


def verdicts_alone(folds: Sequence[HeldOut]) -> VerdictsAlone:
    """What the verdicts are worth without the stack, beside token overlap."""
    paired, means = [], np.zeros(2)
    for fold in folds:
        readings = [fold.judge.reader.read(p.query, fold.items[p.item_id]) for p in fold.pairs]
        verdicts = np.array([worth([g.finding for g in r.grounded]) for r in readings])
        overlap = np.array(
            [token_overlap(p.query, fold.items[p.item_id].title) for p in fold.pairs]
        )
        means += [roc_auc(fold.good, verdicts), roc_auc(fold.good, overlap)]
        paired.append(PairedScores(fold.good, verdicts, overlap, fold.groups))
    first, second = (means / len(folds)).tolist()
    return VerdictsAlone(first, second, paired_difference(paired, roc_auc))


def faithfulness(folds: Sequence[HeldOut], *, of_each: int) -> Faithfulness:
    """Deletion on up to `of_each` pairs a fold, drawn by hash: those whose claim names evidence."""
    rows: list[tuple[str, float, float]] = []
    fold_of: dict[str, int] = {}
    labels: dict[str, list[float]] = {label: [] for label in Label}
    for fold in folds:
        for group, label, evidence, chance in _moves(fold, of_each):
            rows.append((group, evidence, chance))
            fold_of[group] = fold.fold
            labels[label].append(evidence)
    evidence, chance = (float(np.mean([row[at] for row in rows])) for at in (1, 2))
    return Faithfulness(
        pairs=len(rows),
        moved_by_evidence=evidence,
        moved_by_random=chance,
        difference=difference_of_means(rows, fold=fold_of.__getitem__),
        of_label={
            name: (len(moved), float(np.mean(moved))) for name, moved in labels.items() if moved
        },
    )


def _moves(fold: HeldOut, most: int) -> Iterator[tuple[str, Label, float, float]]:
    """Group, judged label, and whether evidence and random words moved the score as claimed."""
    chosen = sorted(
        zip(fold.pairs, fold.groups, strict=True), key=lambda p: _hash(p[0].query, p[0].item_id)
    )
    done = 0
    for pair, group in chosen:
        item = fold.items[pair.item_id]
        judgement = fold.judge.judge(pair.query, item)
        without = _without_evidence(judgement, item)
        thought = judgement.chain_of_thought
        if without is None or thought is None:
            continue
        evidence, chance = without
        direction = -1 if thought.label is Label.GOOD else 1
        moved = [
            float(direction * (fold.judge.judge(d.query, d.item).log_odds - judgement.log_odds) > 0)
            for d in (evidence, chance)
        ]
        yield group, thought.label, moved[0], moved[1]
        done += 1
        if done == most:
            return


def _without_evidence(judgement: Judgement, item: Item) -> tuple[_Deletion, _Deletion] | None:
    """The pair without the words its claim rests on, and without as many random ones.

    A Good claim rests on what matches in the title; a Bad one on what contradicts there, else on
    the words of the query that nothing answers. None where a claim names no word, or no other
    word is left to delete.
    """
    thought = judgement.chain_of_thought
    assert thought is not None
    wanted = Relevance.RELEVANT if thought.label is Label.GOOD else Relevance.IRRELEVANT
    title = normalise(item.title)
    of_title = _words_at(title, judgement, Side.TITLE, wanted)
    stream = np.random.default_rng(_hash(judgement.query, item.item_id))
    if of_title:
        others = _drawn(title, of_title, stream)
        if others is None:
            return None
        query = judgement.query
        return _Deletion(query, _cut_item(item, of_title)), _Deletion(
            query, _cut_item(item, others)
        )
    if thought.label is Label.GOOD:
        return None
    of_query = _words_at(judgement.query, judgement, Side.QUERY, wanted)
    others = _drawn(judgement.query, of_query, stream) if of_query else None
    if others is None:
        return None
    return (
        _Deletion(_cut(judgement.query, of_query), item),
        _Deletion(_cut(judgement.query, others), item),
    )


def _words_at(text: str, judgement: Judgement, side: Side, wanted: Relevance) -> frozenset[str]:
    """The case-folded words under the spans of one side that say what is wanted."""
    spans = [s for s in judgement.spans if s.side is side and s.relevance is wanted]
    return frozenset(w for s in spans for w in _words(text[s.start : s.end]))


def _drawn(text: str, taken: frozenset[str], stream: np.random.Generator) -> frozenset[str] | None:
    """As many other words of the text; None where there are too few."""
    others = sorted(set(_words(text)) - taken)
    if len(others) < len(taken):
        return None
    return frozenset(stream.permutation(others)[: len(taken)].tolist())


def _cut_item(item: Item, gone: frozenset[str]) -> Item:
    """The item without these words anywhere, fields and attributes included."""
    texts = {name: _cut(getattr(item, name), gone) for name in _TEXTS}
    attributes = tuple((name, _cut(value, gone)) for name, value in item.attributes)
    return replace(item, **texts, attributes=attributes)


def _cut(text: str, gone: frozenset[str]) -> str:
    return _WORD.sub(lambda m: "" if m[0].casefold() in gone else m[0], text)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:8])
