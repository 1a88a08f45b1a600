"""Vectors of many texts with a student in torch, in float32 unless the caller autocasts.

The served embeddings come from the bundle's graph; the exporter holds that to this.
"""

from collections.abc import Sequence

import torch

from relevance.domain import Side
from trainer.students.colbert import ColBERT
from trainer.students.devices import device_of, moved
from trainer.students.student import RepresentationStudent
from trainer.students.texts import TokenisedText, pad

BATCH_TEXTS = 128


def embed_texts(student: ColBERT, texts: Sequence[TokenisedText]) -> list[torch.Tensor]:
    """Each text's real token embeddings: float32 (tokens, dim), in the order given."""
    return encode_texts(student, texts, Side.TITLE)


@torch.inference_mode()
def encode_texts(
    student: RepresentationStudent, texts: Sequence[TokenisedText], side: Side
) -> list[torch.Tensor]:
    """Each text's vectors as the student compares them: float32 (rows, dim), in the order given."""
    rows: list[torch.Tensor] = [torch.empty(0)] * len(texts)
    device = device_of(student)
    by_length = sorted(range(len(texts)), key=lambda at: len(texts[at].ids))
    for start in range(0, len(texts), BATCH_TEXTS):
        chosen = by_length[start : start + BATCH_TEXTS]
        encoded = student.encode(moved(pad([texts[at] for at in chosen]), device), side)
        for row, at in enumerate(chosen):
            rows[at] = encoded.vectors[row][encoded.is_row[row]]
    return rows
