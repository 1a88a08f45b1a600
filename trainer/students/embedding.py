"""Token embeddings of many texts with a student in torch, in float32 unless the caller autocasts.

The served embeddings come from the bundle's graph; the exporter holds that to this.
"""

from collections.abc import Sequence

import torch

from trainer.students.colbert import ColBERT
from trainer.students.texts import TokenisedText, pad

BATCH_TEXTS = 128


@torch.inference_mode()
def embed_texts(student: ColBERT, texts: Sequence[TokenisedText]) -> list[torch.Tensor]:
    """Each text's real token embeddings: float32 (tokens, dim), in the order given."""
    rows: list[torch.Tensor] = [torch.empty(0)] * len(texts)
    by_length = sorted(range(len(texts)), key=lambda at: len(texts[at].ids))
    for start in range(0, len(texts), BATCH_TEXTS):
        chosen = by_length[start : start + BATCH_TEXTS]
        batch = pad([texts[at] for at in chosen])
        embedded = student.embed(batch)
        for row, at in enumerate(chosen):
            rows[at] = embedded[row][batch.is_token[row]]
    return rows
