"""The pretrained encoder as it comes: pooled vectors and token embeddings without any training.

Used to find candidates for the pool and as the teacher's similarity features; a student's own
embeddings are `scoring.embed_texts`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from trainer.students.backbone import Backbone
from trainer.students.precision import mixed_precision
from trainer.students.texts import TextBatch, pad, tokenise

BATCH_TEXTS = 64


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """`pooled` float32 (texts, hidden), unit length; `tokens` one (tokens, hidden) per text.

    A text without tokens has a zero vector and an empty row of tokens.
    """

    pooled: np.ndarray
    tokens: tuple[torch.Tensor, ...]


@torch.inference_mode()
def encode_zero_shot(
    backbone: Backbone, texts: Sequence[str], *, length: int, what: str
) -> ZeroShot:
    """Encode normalised texts, cut to `length` real tokens; `what` names the progress bar."""
    tokenised = tokenise(backbone.tokenizer, texts, length=length)
    pooled = np.zeros((len(texts), backbone.hidden), np.float32)
    tokens = [torch.empty(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda at: len(tokenised[at].ids))
    with tqdm(total=len(texts), desc=f"encoding {what}", unit="text") as progress:
        for start in range(0, len(texts), BATCH_TEXTS):
            chosen = order[start : start + BATCH_TEXTS]
            batch = pad([tokenised[at] for at in chosen])
            vectors, hidden = _encode(backbone.encoder, batch)
            for row, at in enumerate(chosen):
                tokens[at] = hidden[row][batch.is_token[row]].half()
                if tokenised[at].offsets:
                    pooled[at] = vectors[row].numpy()
            progress.update(len(chosen))
    return ZeroShot(pooled, tuple(tokens))


def _encode(encoder: Callable[..., object], batch: TextBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean-pooled unit vectors (as sentence-transformers pools, specials in) and unit tokens."""
    with mixed_precision():
        output = encoder(input_ids=batch.ids, attention_mask=batch.attention)
    hidden: torch.Tensor = output.last_hidden_state.float()  # type: ignore[attr-defined]
    weights = batch.attention[:, :, None].float()
    mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    return functional.normalize(mean, dim=-1), functional.normalize(hidden, dim=-1)
