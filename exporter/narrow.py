"""A student with fewer dimensions: what the exporter makes of a checkpoint for a smaller store.

A student trained with Matryoshka heads (Kusupati et al., NeurIPS 2022) keeps its leading
dimensions; any other is projected to the principal axes of its own token embeddings, which keep
as much of every inner product as so many axes can. Training is not here.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from relevance.errors import BadInput
from trainer.students.checkpoint import Checkpoint
from trainer.students.colbert import ColBERT, at_dim
from trainer.students.embedding import embed_texts
from trainer.students.texts import tokenise

SAMPLED_TEXTS = 400


def narrowed(checkpoint: Checkpoint, dim: int, *, texts: Sequence[str]) -> Checkpoint:
    """The checkpoint with embeddings of `dim` dimensions, its encoder shared with the original.

    `texts` are item texts to find the axes on. Raises `BadInput` where `dim` is more than the
    checkpoint has.
    """
    card = checkpoint.card
    if not 0 < dim <= card.dim:
        raise BadInput(f"dim: expected 1 to {card.dim}, the checkpoint's own, got {dim}")
    if dim == card.dim:
        return checkpoint
    smaller = card.model_copy(update={"dim": dim, "heads": ()})
    if dim in checkpoint.student.heads:
        return replace(checkpoint, student=at_dim(checkpoint.student, dim), card=smaller)
    student = ColBERT(checkpoint.student.encoder, hidden=card.hidden, dim=dim).eval()
    weight = checkpoint.student.projection.weight.detach()
    student.projection.weight = nn.Parameter(_axes(checkpoint, dim, texts) @ weight)
    student.raw_weight, student.bias = checkpoint.student.raw_weight, checkpoint.student.bias
    return replace(checkpoint, student=student, card=smaller)


def _axes(checkpoint: Checkpoint, dim: int, texts: Sequence[str]) -> torch.Tensor:
    """Orthonormal rows (dim, full dim)."""
    sampled = texts[:: max(1, len(texts) // SAMPLED_TEXTS)][:SAMPLED_TEXTS]
    tokenised = tokenise(checkpoint.tokenizer, sampled, length=checkpoint.card.item_tokens)
    rows = torch.cat(embed_texts(checkpoint.student, tokenised)).double()
    _, axes = torch.linalg.eigh(rows.T @ rows)  # ascending eigenvalues
    leading = axes.flip(1)[:, :dim]
    # Principal axes put most of each token into the first one, and one scale then wastes steps on
    # the others: the fixed rotation spreads them, and every inner product stays as it is.
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (torch.linalg.qr(mixing).Q @ leading.T).float()
