"""In-batch contrast: each text is told from the others of its step, without any label.

What makes a text and its positive alike is the caller's (`own_words.py`); InfoNCE as in van den
Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018).
"""

import torch
from torch.nn import functional


def in_batch_contrast(similarities: torch.Tensor, *, temperature: float) -> torch.Tensor:
    """−log( exp(s_ii / τ) / Σ_j exp(s_ij / τ) ) of each row: (texts,), never negative.

    `similarities` (texts, texts) holds each row's positive on the diagonal, the other columns are
    its negatives; τ = `temperature`. A text that is alone costs nothing.
    """
    own = torch.arange(len(similarities), device=similarities.device)
    return functional.cross_entropy(similarities / temperature, own, reduction="none")
