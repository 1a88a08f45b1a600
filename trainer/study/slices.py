"""Slices of a study's test pairs, and finished cells restricted to one: nothing is scored again.

Queries with many labelled pairs outweigh all others in a pooled measure, few as they are; so
queries with few pairs and with many are slices of every data set. Head and tail have their own
table (the paper's Table 6).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from relevance.slices import negates
from trainer.study.cells import CellResult

FEW_PAIRS = 4  # labelled pairs of a query

Keys = frozenset[tuple[str, str]]


def slices_of(pairs: Sequence[Pair]) -> dict[str, Keys]:
    """Query and item of each slice's pairs, by name; a slice without a pair is left out."""
    number = Counter(pair.query for pair in pairs)
    members: dict[str, Iterable[Pair]] = {
        f"queries with at most {FEW_PAIRS} pairs": (
            pair for pair in pairs if number[pair.query] <= FEW_PAIRS
        ),
        "queries with more": (pair for pair in pairs if number[pair.query] > FEW_PAIRS),
        "queries with a negation": (pair for pair in pairs if negates(pair.query)),
        "queries without one": (pair for pair in pairs if not negates(pair.query)),
    }
    for subset in sorted({pair.subset for pair in pairs if pair.subset}):
        members[f"`{subset}`"] = [pair for pair in pairs if pair.subset == subset]
    found = {
        name: frozenset((pair.query, pair.item_id) for pair in those)
        for name, those in members.items()
    }
    return {name: keys for name, keys in found.items() if keys}


def restricted(result: CellResult, keys: Collection[tuple[str, str]]) -> CellResult | None:
    """The cell on these pairs alone, measured anew; None where they are not of both classes."""
    pairs = zip(result.queries, result.item_ids, strict=True)
    kept = np.flatnonzero([pair in keys for pair in pairs])
    good, logits = result.good[kept], result.logits[kept]
    measures = class_measures(good, logits)
    if not measures:
        return None
    return replace(
        result,
        measures=measures,
        queries=tuple(result.queries[at] for at in kept),
        item_ids=tuple(result.item_ids[at] for at in kept),
        good=good,
        logits=logits,
    )


def class_measures(good: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Number of pairs and both AUCs; empty where the pairs are not of both classes."""
    if not good.any() or good.all():
        return {}
    return {
        "pairs": float(len(good)),
        "roc_auc": roc_auc(good, logits),
        "neg_pr_auc": neg_pr_auc(good, logits),
    }


def restricted_rows(
    by_row: Mapping[str, Sequence[CellResult]], keys: Keys
) -> dict[str, list[CellResult]]:
    """Every row's cells on these pairs alone; those without both classes are left out."""
    found = {
        name: [restricted(result, keys) for result in results] for name, results in by_row.items()
    }
    return {name: [cell for cell in cells if cell is not None] for name, cells in found.items()}
