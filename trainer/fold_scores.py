"""What one fold's folder holds of the judges compared: pairs and logits, in one order.

Measures are `evaluate.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.baselines import token_overlap
from relevance.errors import BadInput
from relevance.records import Pair, read_judgements
from trainer.score_files import read_scores

STUDENTS = ("ce", "mkd")
MODELS = ("overlap", *STUDENTS, "teacher")
JUDGEMENTS = Path("teacher", "judgements.parquet")


@dataclass(frozen=True, slots=True, eq=False)
class FoldScores:
    """One outer fold's test pairs and every judge's logits on them, in the same order."""

    fold: str
    pairs: tuple[Pair, ...]
    logits: Mapping[str, np.ndarray]

    @property
    def good(self) -> np.ndarray:
        """The human labels."""
        return np.array([bool(pair.good) for pair in self.pairs])

    @property
    def queries(self) -> list[str]:
        """The query of each pair."""
        return [pair.query for pair in self.pairs]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Query and item of each pair."""
        return [(pair.query, pair.item_id) for pair in self.pairs]


def read_fold(folder: Path, titles: Mapping[str, str]) -> FoldScores:
    """Read a fold's student scores and teacher judgements; pairs without any score are left out.

    `titles` by item id serve the token-overlap baseline.
    """
    pairs, logits = read_scores(folder / "ce_scores.parquet")
    other_pairs, mkd = read_scores(folder / "mkd_scores.parquet")
    if pairs != other_pairs:
        raise BadInput(f"{folder}: the two students were scored on different pairs")
    judged = {(j.query, j.item_id): j.log_odds for j in read_judgements(folder / JUDGEMENTS)}
    teacher = np.array([judged.get((p.query, p.item_id), np.nan) for p in pairs])
    overlap = np.array([token_overlap(p.query, titles[p.item_id]) for p in pairs])
    scores = {"overlap": overlap, "ce": logits, "mkd": mkd, "teacher": teacher}
    usable = ~np.isnan(np.stack(list(scores.values()))).any(axis=0)
    kept = tuple(pair for pair, use in zip(pairs, usable, strict=True) if use)
    return FoldScores(folder.name, kept, {name: s[usable] for name, s in scores.items()})
