"""One student in one precision through the whole integer path, beside its own float scores.

What both the export and its benchmark do; what follows from it (gate, calibration) is not here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporter.bundle_scoring import (
    EncodedPairs,
    Lengths,
    RowFormat,
    encode_pairs,
    integer_similarities,
)
from exporter.calibrate import item_scale
from exporter.parity import Labels, ScoreParity, float_similarities, kept_rows, score_parity
from exporter.precision import write_precision
from exporter.torch_reference import torch_pairs
from relevance.bundle import Precision
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.item_rows import RowCodec
from relevance.item_text import ItemText, item_text
from relevance.records import Pair
from trainer.students.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class CalibrationPairs:
    """Query-disjoint human-labelled pairs and the items they name."""

    pairs: Sequence[Pair]
    catalogue: Mapping[str, Item]

    def texts(self, template: ItemText) -> list[tuple[str, str]]:
        """Query and item text of each pair; raises `BadInput` for an unknown item, or no pair."""
        if not self.pairs:
            raise BadInput("calibration pairs: expected at least one, to find the items' scale on")
        absent = [pair.item_id for pair in self.pairs if pair.item_id not in self.catalogue]
        if absent:
            raise BadInput(f"calibration pairs: item `{absent[0]}` is not in the catalogue")
        return [(p.query, item_text(self.catalogue[p.item_id], template)) for p in self.pairs]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What every precision is measured with."""

    checkpoint: Checkpoint
    reference: EncodedPairs
    float_scores: np.ndarray
    labels: Labels
    codec: RowCodec
    lengths: Lengths

    @property
    def rows(self) -> int:
        """Rows an item takes."""
        return self.codec.rows(self.lengths.item)


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One precision through the whole integer path."""

    precision: Precision
    encoded: EncodedPairs
    scale: float
    similarities: np.ndarray
    parity: ScoreParity


def material_of(checkpoint: Checkpoint, calibration: CalibrationPairs, codec: RowCodec) -> Material:
    """Encode the calibration pairs in torch and score them by the float definition."""
    lengths = Lengths(checkpoint.card.query_tokens, checkpoint.card.item_tokens)
    texts = calibration.texts(checkpoint.card.item_text)
    reference = torch_pairs(checkpoint, texts, lengths=lengths)
    labels = Labels(
        np.array([pair.good is not None for pair in calibration.pairs]),
        np.array([bool(pair.good) for pair in calibration.pairs]),
    )
    scores = float_similarities(reference, codec)
    return Material(checkpoint, reference, scores, labels, codec, lengths)


def attempt(folder: Path, full: Path, material: Material, precision: Precision) -> Attempt:
    """Write `folder`'s encoder in this precision and score the calibration pairs with it.

    `full` is the float32 graph; tokenizer and maxsim graph lie in `folder`.
    """
    reference = material.reference
    write_precision(
        folder,
        precision,
        full=full,
        texts=(tuple(reference.queries), tuple(reference.items)),
        lengths=material.lengths,
    )
    encoded = encode_pairs(folder, reference.pairs, lengths=material.lengths)
    scale = item_scale(kept_rows(encoded, material.codec).values(), bits=material.codec.bits)
    shape = RowFormat(material.codec, scale, material.rows)
    similarities = integer_similarities(folder, encoded, shape)
    parity = score_parity(reference.pairs, material.float_scores, similarities, material.labels)
    return Attempt(precision, encoded, scale, similarities, parity)
