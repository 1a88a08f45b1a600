"""How differently two bundles score the same pairs: what changes when one goes live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float64

from relevance.bundle import BundleManifest, read_bundle
from relevance.generation import StorePaths
from relevance.late_interaction import quantise_query
from relevance.records import Pair
from relevance.text import normalise
from service.encoder import OnnxTokenEncoder, TokenEncoder
from service.scorer import Scorer, open_scorer
from service.store.generation_reader import GenerationReader

SAMPLED_QUERIES = 64
ITEMS_PER_QUERY = 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both bundles' scores on the pairs that both have; labels by each one's own threshold."""

    pairs: int
    skipped: int
    mean_difference: float
    largest_difference: float
    rank_correlation: float
    changed_labels: float


@dataclass(frozen=True, slots=True)
class PairScorer:
    """One bundle's scores for pairs of a query and an item of its generation."""

    bundle: BundleManifest
    encoder: TokenEncoder
    scorer: Scorer
    items: GenerationReader

    @classmethod
    def open(cls, store: StorePaths, items: GenerationReader) -> Self:
        """The scorer of the bundle that made a generation."""
        folder = store.bundle(items.manifest.bundle_id)
        bundle = read_bundle(folder)
        scorer, _ = open_scorer(folder, bundle)
        return cls(bundle, OnnxTokenEncoder.read(folder, bundle), scorer, items)

    def scores(self, pairs: Sequence[Pair]) -> Float64[np.ndarray, " pairs"]:
        """A probability for each pair; NaN where the query or the item has no token."""
        scores = np.full(len(pairs), np.nan)
        rows = self.items.rows_of([pair.item_id for pair in pairs])
        has_text = (rows >= 0) & (self.items.token_counts[rows] > 0)
        places_of: dict[str, list[int]] = {}
        for at in np.flatnonzero(has_text).tolist():
            places_of.setdefault(pairs[at].query, []).append(at)
        for query, places in places_of.items():
            tokens = self.encoder.encode(query, limit=self.bundle.max_query_tokens).vectors
            if len(tokens):
                found = self.scorer.score(quantise_query(tokens), self.items.arena, rows[places])
                scores[places] = found.probabilities
        return scores


def compare(old: PairScorer, new: PairScorer, pairs: Sequence[Pair]) -> Comparison:
    """Score the pairs with both; pairs that either cannot score are counted as skipped."""
    before, after = old.scores(pairs), new.scores(pairs)
    both = ~(np.isnan(before) | np.isnan(after))
    before, after = before[both], after[both]
    labels = (before >= old.bundle.threshold) != (after >= new.bundle.threshold)
    differences = np.abs(before - after)
    return Comparison(
        pairs=len(before),
        skipped=int(np.count_nonzero(~both)),
        mean_difference=float(differences.mean()) if len(before) else float("nan"),
        largest_difference=float(differences.max(initial=0.0)),
        rank_correlation=_rank_correlation(before, after),
        changed_labels=float(labels.mean()) if len(before) else float("nan"),
    )


def sample_pairs(items: GenerationReader, *, seed: int = 0) -> list[Pair]:
    """Pairs where there are no queries to be had: titles as queries, each with its own item."""
    random = np.random.default_rng(seed)
    rows = items.live_rows()
    asked = random.choice(rows, min(SAMPLED_QUERIES, len(rows)), replace=False)
    pairs = []
    for row, item in zip(asked.tolist(), items.items(asked.tolist()), strict=True):
        others = random.choice(rows, ITEMS_PER_QUERY - 1)
        candidates = items.item_ids(np.append(others, row))
        pairs += [Pair(normalise(item.title), item_id) for item_id in candidates if item.title]
    return pairs


def _rank_correlation(
    before: Float64[np.ndarray, " pairs"], after: Float64[np.ndarray, " pairs"]
) -> float:
    """Spearman's; NaN where either side gives all pairs one score."""
    ranks = np.stack([_ranks(before), _ranks(after)])
    if len(before) < 2 or not ranks.std(axis=1).all():
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(scores: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """Ranks, the mean rank where scores are equal."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
