"""The parity gate: a bundle exists only where torch, ONNX and the NumPy definition agree.

Two looks: at graphs (torch float32 against ONNX Runtime, integers against NumPy), and at scores
(the student's float scores against those of the final integer path, on human-labelled pairs and
on candidate lists as they are ranked). It measures, compares with limits and refuses; it repairs
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.bundle_scoring import EncodedPairs, EncodedText, open_session
from exporter.rank_agreement import FlippedList, flipped_lists, kendall_taus
from relevance.bundle import GOLDEN, MAXSIM, Precision
from relevance.errors import GateRefused
from relevance.item_rows import RowCodec, pooled_tokens
from relevance.late_interaction import mean_maxsim
from relevance.metrics import roc_auc

FEWEST_LABELS = 100  # below this a ROC-AUC says too little to refuse a bundle by
LIMITS = {
    "encoder_max_difference": 1e-4,  # per embedding value, torch float32 against ONNX Runtime
    "maxima_differing": 0.0,  # integer maxima against NumPy: exact or wrong
    "similarity_max_difference": 0.02,  # a cosine mean, integer against float
    "roc_auc_points_lost": 0.2,  # on the validation labels, through the whole path
}
LOOSER = {
    Precision.INT8_DYNAMIC: {"similarity_max_difference": 0.05},
    Precision.INT8_STATIC: {"similarity_max_difference": 0.05},
}
LEAST_TAU = 0.98  # mean over candidate lists; a bundle below it must say which lists flip


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The human label of each pair where there is one: `known` says where, `good` what."""

    known: np.ndarray
    good: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ScoreParity:
    """Numbers by name, the lists whose order changed, and the pair that moved most."""

    measures: Mapping[str, float]
    flipped: tuple[FlippedList, ...]
    worst_pair: str


def encoder_difference(
    reference: Mapping[str, EncodedText], found: Mapping[str, EncodedText]
) -> tuple[float, str]:
    """The largest difference of one embedding value, and the text it is in; nan counts as largest.

    Both hold the same texts; a text with another number of tokens differs infinitely.
    """
    worst, text_of_worst = 0.0, ""
    for text, expected in reference.items():
        vectors = found[text].vectors
        gap = (
            float(np.abs(vectors - expected.vectors).max(initial=0.0))
            if vectors.shape == expected.vectors.shape
            else float("inf")
        )
        if not gap <= worst:
            worst, text_of_worst = gap, text
        if np.isnan(gap):
            break
    return worst, text_of_worst


def golden_differing(folder: Path) -> int:
    """How many of the golden maxima the graph does not reproduce."""
    with np.load(folder / GOLDEN) as golden:
        query, arena, expected = (golden[name] for name in ("query", "arena", "maxima"))
    feed = {"query": query, "arena": arena, "positions": np.arange(len(arena))}
    (maxima,) = open_session(folder / MAXSIM).run(["maxima"], feed)
    return int((maxima != expected).sum())


def kept_rows(encoded: EncodedPairs, codec: RowCodec) -> dict[str, np.ndarray]:
    """Each item's float rows, as they are before they become bytes."""
    return {
        text: pooled_tokens(item.vectors, item.pieces, codec=codec)
        for text, item in encoded.items.items()
    }


def float_similarities(encoded: EncodedPairs, codec: RowCodec) -> np.ndarray:
    """The float definition on float rows: mean best cosine, NaN where a side has no token."""
    rows = kept_rows(encoded, codec)
    found = np.full(len(encoded.pairs), np.nan)
    for at, (query, item) in enumerate(encoded.pairs):
        if len(encoded.queries[query]) and len(rows[item]):
            everything = np.ones(len(rows[item]), dtype=bool)
            found[at] = mean_maxsim(encoded.queries[query].vectors, rows[item], everything)
    return found


def score_parity(
    pairs: Sequence[tuple[str, str]], reference: np.ndarray, served: np.ndarray, labels: Labels
) -> ScoreParity:
    """Compare two scores of the same pairs; those without a score are left out."""
    scored = np.flatnonzero(~(np.isnan(reference) | np.isnan(served)))
    gaps = np.abs(served[scored] - reference[scored])
    queries = [pairs[int(at)][0] for at in scored]
    taus = kendall_taus(queries, reference[scored], served[scored])
    measures = {
        "similarity_max_difference": float(gaps.max(initial=0.0)),
        "similarity_mean_difference": float(gaps.mean()) if len(gaps) else 0.0,
        "pairs": float(len(scored)),
        "lists": float(len(taus)),
    }
    if taus:
        measures["kendall_tau_mean"] = float(np.mean(list(taus.values())))
        measures["kendall_tau_worst"] = float(min(taus.values()))
    known = scored[labels.known[scored]]
    good = labels.good[known]
    if len(known) >= FEWEST_LABELS and good.any() and not good.all():
        lost = roc_auc(good, reference[known]) - roc_auc(good, served[known])
        measures["roc_auc_points_lost"] = 100 * lost
    chosen = [pairs[int(at)] for at in scored]
    return ScoreParity(
        measures,
        flipped_lists(chosen, reference[scored], served[scored], taus),
        _worst_pair(chosen, reference[scored], served[scored]),
    )


def check_parity(
    measured: Mapping[str, float],
    *,
    precision: Precision = Precision.FP32,
    shown: Sequence[str] = (),
) -> None:
    """Raise `GateRefused` naming every measure beyond its limit, and show `shown` below."""
    limits = {**LIMITS, **LOOSER.get(precision, {})}
    broken = [
        f"{name}: expected at most {limit:g}, got {measured[name]:g}"
        for name, limit in limits.items()
        if name in measured and not measured[name] <= limit
    ]
    if broken:
        raise GateRefused(
            "no bundle: the exported graphs differ from the student\n"
            + "\n".join([*broken, *shown])
        )


def keeps_order(measured: Mapping[str, float]) -> bool:
    """Whether candidate lists keep their order well enough to go without a report."""
    return measured.get("kendall_tau_mean", 1.0) >= LEAST_TAU


def _worst_pair(pairs: Sequence[tuple[str, str]], reference: np.ndarray, served: np.ndarray) -> str:
    if not len(pairs):
        return ""
    at = int(np.abs(served - reference).argmax())
    query, item = pairs[at]
    return (
        f"worst pair: query {query!r}, item {item!r:.120}: similarity {reference[at]:.4f} in "
        f"torch, {served[at]:.4f} in the bundle"
    )
