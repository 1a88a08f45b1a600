"""Aspect-aligned attention: the cells of the similarity matrix that a chain of thought pairs up.

Past the paper, whose regulation looks at row and column maxima only and so forgets *which* words
the teacher set against each other. Switched on by a recipe's `lambda_aligned`.
"""

import torch

from trainer.losses.attention import IRRELEVANT_MARGIN


def aspect_alignment(cosines: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """The cost of each pair's supervised rows, columns and cells, added up: (pairs,).

    `cosines` and `signs` are (pairs, query_tokens, item_tokens); a sign is +1 where both tokens
    speak of an aspect that matches, −1 where they speak of one that does not, else 0.

    Σ_rows (1 − max_{j: +} c_ij)² + Σ_columns (1 − max_{i: +} c_ij)² + Σ_{cells: −} max(0, c − 0.2)²

    A matching token must find *a* partner inside the paired span, not resemble all of it; in a
    mismatch no token of the one span may resemble any of the other. Divide the batch's sum by
    `supervised` of the batch.
    """
    matching = signs > 0
    masked = cosines.masked_fill(~matching, -torch.inf)
    drawn = _distance_from_one(masked.amax(dim=2)) + _distance_from_one(masked.amax(dim=1))
    contrary = torch.where(signs < 0, cosines, 0.0)
    kept_off = (contrary - IRRELEVANT_MARGIN).clamp(min=0.0).square().sum(dim=(1, 2))
    return drawn + kept_off


def supervised(signs: torch.Tensor) -> torch.Tensor:
    """How many rows, columns and cells of each pair `aspect_alignment` looks at: (pairs,)."""
    matching = signs > 0
    rows, columns = matching.any(dim=2).sum(dim=1), matching.any(dim=1).sum(dim=1)
    return rows + columns + (signs < 0).sum(dim=(1, 2))


def _distance_from_one(best: torch.Tensor) -> torch.Tensor:
    """Σ (1 − best)² over the last axis, leaving out −inf: (pairs,)."""
    present = best > -torch.inf
    return torch.where(present, 1.0 - torch.where(present, best, 0.0), 0.0).square().sum(dim=1)
