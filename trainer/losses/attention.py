"""Attention score regulation: evidence tokens are drawn to, or kept from, the other text.

Source: paper, §3.3.2. The default has the corrections of design §3 row 8: the loss is positive, a
mean of squares (no root, no minus sign), and irrelevant evidence is pushed below a margin instead
of towards a cosine of −1, which no maximum over a title can reach. The paper's equation as printed
is `literal_attention_regulation`.
"""

import torch

IRRELEVANT_MARGIN = 0.2  # a best cosine below this costs nothing
_SMALLEST_SQUARE = 1e-12  # under the root: its slope at 0 is infinite


def attention_regulation(attention: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Squared distance of each evidence token from where it should be, 0 elsewhere.

    `attention` holds each token's best cosine with the other text, `factors` +1 (relevant
    evidence), −1 (irrelevant) or 0, both (pairs, tokens):
    (1 − a)² for +1, max(0, a − 0.2)² for −1. Divide the sum by the number of evidence tokens of
    the whole batch.
    """
    # −inf where the other text has no token: kept out first, or its gradient would be 0 · inf
    evident = torch.where(factors == 0, 0.0, attention)
    relevant = (1.0 - evident).square()
    irrelevant = (evident - IRRELEVANT_MARGIN).clamp(min=0.0).square()
    return torch.where(factors > 0, relevant, torch.where(factors < 0, irrelevant, 0.0))


def literal_attention_regulation(attention: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """−(1/n) · √( Σ (f − a)² ) over a text's n evidence tokens: (pairs,), 0 without evidence.

    The paper's equation as printed, f being the factor ±1. Its minus sign makes a minimiser drive
    evidence away from where it belongs: kept to show that, not to train with. Divide the sum by
    the number of texts with evidence.
    """
    evident = factors != 0
    distance = torch.where(evident, factors - torch.where(evident, attention, 0.0), 0.0)
    squares = distance.square().sum(dim=1).clamp(min=_SMALLEST_SQUARE)
    counts = evident.sum(dim=1)
    return torch.where(counts > 0, -squares.sqrt() / counts.clamp(min=1), 0.0)
