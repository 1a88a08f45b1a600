"""The parity gate: a bundle exists only where torch, ONNX and the NumPy definition agree.

It measures, compares with limits and refuses; it repairs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.bundle_scoring import EncodedPairs, open_session
from relevance.bundle import GOLDEN, MAXSIM
from relevance.errors import GateRefused
from relevance.late_interaction import mean_maxsim

LIMITS = {
    "encoder_max_difference": 1e-4,  # per embedding value, torch float32 against ONNX Runtime
    "maxima_differing": 0.0,  # integer maxima against NumPy: exact or wrong
    "similarity_max_difference": 0.02,  # a cosine mean, integer against float
}


@dataclass(frozen=True, slots=True)
class ParitySample:
    """The same texts' token embeddings from torch, text by text."""

    torch_embeddings: Mapping[str, np.ndarray]


def measure_parity(
    folder: Path, encoded: EncodedPairs, sample: ParitySample, similarities: np.ndarray
) -> dict[str, float]:
    """Differences by name; `similarities` are the integer path's, pair by pair."""
    onnx_embeddings = {**encoded.items, **encoded.queries}
    encoder = [
        np.abs(onnx_embeddings[text] - rows).max(initial=0.0)
        for text, rows in sample.torch_embeddings.items()
    ]
    scored = np.flatnonzero(~np.isnan(similarities))
    exact = np.array([_float_similarity(encoded, int(at)) for at in scored])
    differences = np.abs(similarities[scored] - exact)
    return {
        "encoder_max_difference": float(np.max(encoder, initial=0.0)),  # nan stays nan
        "maxima_differing": float(_maxima_differing(folder)),
        "similarity_max_difference": float(differences.max(initial=0.0)),
        "similarity_mean_difference": float(differences.mean()) if len(differences) else 0.0,
        "pairs": float(len(scored)),
    }


def check_parity(measured: Mapping[str, float]) -> None:
    """Raise `GateRefused` naming every measure beyond its limit."""
    broken = [
        f"{name}: expected at most {limit:g}, got {measured[name]:g}"
        for name, limit in LIMITS.items()
        if not measured[name] <= limit
    ]
    if broken:
        raise GateRefused(
            "no bundle: the exported graphs differ from the student\n" + "\n".join(broken)
        )


def _float_similarity(encoded: EncodedPairs, at: int) -> float:
    query, item = encoded.pairs[at]
    tokens = encoded.items[item]
    return mean_maxsim(encoded.queries[query], tokens, np.ones(len(tokens), dtype=bool))


def _maxima_differing(folder: Path) -> int:
    golden = np.load(folder / GOLDEN)
    feed = {
        "query": golden["query"],
        "arena": golden["arena"],
        "positions": np.arange(len(golden["arena"])),
    }
    (maxima,) = open_session(folder / MAXSIM).run(["maxima"], feed)
    return int((maxima != golden["maxima"]).sum())
