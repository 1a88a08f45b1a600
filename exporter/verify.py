"""Does a bundle on disk still do what it did when it was made? Seals, graphs, golden answers.

Used by hand, after a copy or on a new kind of CPU; the service has its own, quicker start-up check.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.bundle_scoring import Lengths, RowFormat, encode_pairs, integer_similarities
from exporter.golden import read_golden_pairs
from exporter.parity import golden_differing
from relevance.bundle import ENCODER, GOLDEN, MAXSIM, BundleManifest, read_bundle
from relevance.errors import BadBundle

FARTHEST_LOGIT = 0.05  # another CPU's float encoder may move a golden logit by so much, no more


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that passed: its manifest, and how far golden logits lay from the sealed ones."""

    manifest: BundleManifest
    golden_pairs: int
    logit_max_difference: float


def verify_bundle(folder: Path) -> Verified:
    """Check every seal, run every graph, compare golden rows and pairs.

    Raises `BadBundle` naming the file and what differs.
    """
    manifest = read_bundle(folder)
    try:
        differing = golden_differing(folder)
    except Exception as fault:  # ONNX Runtime's exceptions share no narrower base
        raise BadBundle(f"{folder / MAXSIM}: does not run on its golden rows: {fault}") from fault
    if differing:
        raise BadBundle(
            f"{folder / MAXSIM}: {differing} golden maxima differ on this CPU\n"
            "hint: the service then scores with NumPy, exactly but slower"
        )
    pairs = read_golden_pairs(folder / GOLDEN)
    farthest = 0.0
    if pairs:
        found = _logits(folder, manifest, [(pair.query, pair.item) for pair in pairs])
        farthest = float(np.abs(found - np.array([pair.logit for pair in pairs])).max())
    if not farthest <= FARTHEST_LOGIT:
        raise BadBundle(
            f"{folder / ENCODER}: golden logits differ by up to {farthest:.3g} on this CPU, "
            f"expected at most {FARTHEST_LOGIT}"
        )
    return Verified(manifest, len(pairs), farthest)


def _logits(folder: Path, manifest: BundleManifest, pairs: list[tuple[str, str]]) -> np.ndarray:
    lengths = Lengths(manifest.max_query_tokens, manifest.max_item_tokens)
    try:
        encoded = encode_pairs(folder, pairs, lengths=lengths)
    except Exception as fault:  # likewise
        raise BadBundle(f"{folder / ENCODER}: does not run on golden texts: {fault}") from fault
    similarities = integer_similarities(folder, encoded, RowFormat.of(manifest))
    return manifest.logit_weight * similarities + manifest.logit_bias
