"""Pairs through a bundle's own graphs: the scores that `/score` must give bit for bit.

Measures where there are labels; a file of scores for whoever compares. Speed is not the aim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter.bundle_scoring import Lengths, bundle_logits, encode_pairs
from exporter.thresholds import bundle_measures
from relevance.atomic import replacing_file
from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.item_text import item_text
from relevance.late_interaction import sigmoid
from relevance.records import Pair


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """Pairs with logits and probabilities; nan where a side has no token."""

    pairs: tuple[Pair, ...]
    logits: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """What `/score` answers with."""
        found = np.full(len(self.logits), np.nan)
        scored = ~np.isnan(self.logits)
        found[scored] = sigmoid(self.logits[scored])
        return found


def score_with_bundle(
    folder: Path, manifest: BundleManifest, pairs: Sequence[Pair], catalogue: Mapping[str, Item]
) -> ScoredPairs:
    """Score pairs of normalised queries; raises `BadInput` for an item the catalogue lacks."""
    absent = [pair.item_id for pair in pairs if pair.item_id not in catalogue]
    if absent:
        raise BadInput(f"pairs: item `{absent[0]}` is not in the catalogue")
    texts = [(p.query, item_text(catalogue[p.item_id], manifest.item_text)) for p in pairs]
    lengths = Lengths(manifest.max_query_tokens, manifest.max_item_tokens)
    encoded = encode_pairs(folder, texts, lengths=lengths)
    return ScoredPairs(tuple(pairs), bundle_logits(folder, encoded, manifest))


def measures_of(scored: ScoredPairs, *, threshold: float) -> dict[str, float]:
    """Measures on the labelled pairs that have a score; empty where there are none."""
    probabilities = scored.probabilities
    labelled = [
        at
        for at, pair in enumerate(scored.pairs)
        if pair.good is not None and not np.isnan(probabilities[at])
    ]
    if not labelled:
        return {}
    good = np.array([bool(scored.pairs[at].good) for at in labelled])
    queries = [scored.pairs[at].query for at in labelled]
    return bundle_measures(good, probabilities[labelled], queries, threshold=threshold)


def write_scored(path: Path, scored: ScoredPairs, *, bundle_id: str) -> None:
    """Write `query, item_id, good, logit, score` as Parquet, crash-safe; no score is null."""
    missing = np.isnan(scored.logits)
    table = pa.table(
        {
            "query": pa.array([pair.query for pair in scored.pairs], pa.string()),
            "item_id": pa.array([pair.item_id for pair in scored.pairs], pa.string()),
            "good": pa.array([_digit(pair.good) for pair in scored.pairs], pa.int8()),
            "logit": pa.array(scored.logits, pa.float64(), mask=missing),
            "score": pa.array(scored.probabilities, pa.float64(), mask=missing),
        }
    ).replace_schema_metadata({"format": "relevance-scores/1", "bundle": bundle_id})
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _digit(good: bool | None) -> int | None:
    return None if good is None else int(good)
