"""Checkpoint → bundle: graphs, quantisation scale, calibration, parity gate, manifest.

The bundle's folder appears under its name only after the gate let it through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.bundle_scoring import EncodedPairs, Lengths, encode_pairs, integer_similarities
from exporter.calibrate import Calibration, fit_calibration, item_scale
from exporter.encoder_graph import write_encoder_graph
from exporter.golden import write_golden
from exporter.maxsim_graph import write_maxsim_graph
from exporter.parity import ParitySample, check_parity, measure_parity
from relevance.atomic import creating_folder
from relevance.bundle import ENCODER, GOLDEN, MAXSIM, TOKENIZER, BundleManifest, write_manifest
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.item_text import item_text
from relevance.records import Pair
from trainer.students.checkpoint import Checkpoint
from trainer.students.embedding import embed_texts
from trainer.students.texts import tokenise

PARITY_TEXTS = 64  # texts compared between torch and ONNX Runtime
FEWEST_LABELS = 100  # below this the teacher's own weight and bias are kept, and said to be
THRESHOLD = 0.5  # of a calibrated probability: the cut with the fewest expected errors


@dataclass(frozen=True, slots=True)
class CalibrationPairs:
    """Query-disjoint human-labelled pairs and the items they name."""

    pairs: Sequence[Pair]
    catalogue: Mapping[str, Item]


def export_bundle(
    checkpoint: Checkpoint, calibration: CalibrationPairs, out: Path, *, source: Mapping[str, str]
) -> BundleManifest:
    """Write a bundle to `out`; raises `GateRefused` where parity or calibration fails."""
    card = checkpoint.card
    if not calibration.pairs:
        raise BadInput("calibration pairs: expected at least one, to find the items' scale on")
    texts = _texts(checkpoint, calibration)
    with creating_folder(out) as folder:
        write_encoder_graph(folder / ENCODER, checkpoint.student)
        checkpoint.tokenizer.save(str(folder / TOKENIZER))
        write_golden(folder / GOLDEN, dim=card.dim, rows=card.item_tokens)
        lengths = Lengths(card.query_tokens, card.item_tokens)
        encoded = encode_pairs(folder, texts, lengths=lengths)
        scale = item_scale(encoded.items.values())
        write_maxsim_graph(folder / MAXSIM, dim=card.dim)
        similarities = integer_similarities(folder, encoded, scale=scale, rows=card.item_tokens)
        fitted, fitted_on = _calibrate(similarities, calibration.pairs, checkpoint)
        parity = measure_parity(folder, encoded, _torch_sample(checkpoint, encoded), similarities)
        check_parity(parity)
        return write_manifest(
            folder,
            dim=card.dim,
            max_query_tokens=card.query_tokens,
            max_item_tokens=card.item_tokens,
            item_text=card.item_text,
            item_scale=scale,
            logit_weight=fitted.weight,
            logit_bias=fitted.bias,
            threshold=THRESHOLD,
            calibration=fitted_on,
            parity=parity,
            source=dict(source),
        )


def _texts(checkpoint: Checkpoint, calibration: CalibrationPairs) -> list[tuple[str, str]]:
    template = checkpoint.card.item_text
    absent = [p.item_id for p in calibration.pairs if p.item_id not in calibration.catalogue]
    if absent:
        raise BadInput(f"calibration pairs: item `{absent[0]}` is not in the catalogue")
    return [
        (pair.query, item_text(calibration.catalogue[pair.item_id], template))
        for pair in calibration.pairs
    ]


def _calibrate(
    similarities: np.ndarray, pairs: Sequence[Pair], checkpoint: Checkpoint
) -> tuple[Calibration, str]:
    labelled = np.array([pair.good is not None for pair in pairs]) & ~np.isnan(similarities)
    good = np.array([bool(pair.good) for pair in pairs])[labelled]
    if len(good) < FEWEST_LABELS or good.all() or not good.any():
        student = checkpoint.student
        return Calibration(float(student.weight.detach()), float(student.bias.detach())), "teacher"
    return fit_calibration(similarities[labelled], good), "human"


def _torch_sample(checkpoint: Checkpoint, encoded: EncodedPairs) -> ParitySample:
    card = checkpoint.card
    items, queries = list(encoded.items)[:PARITY_TEXTS], list(encoded.queries)[:PARITY_TEXTS]
    embedded: dict[str, np.ndarray] = {}
    for texts, length in ((items, card.item_tokens), (queries, card.query_tokens)):
        tokenised = tokenise(checkpoint.tokenizer, texts, length=length)
        rows = embed_texts(checkpoint.student, tokenised)
        embedded.update(zip(texts, (row.numpy() for row in rows), strict=True))
    return ParitySample(embedded)
