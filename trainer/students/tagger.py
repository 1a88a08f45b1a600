"""Reads evidence off token states: emissions and a linear-chain CRF over BIO tags.

Source: Lafferty et al., "Conditional Random Fields" (ICML 2001); the recursion is pytorch-crf's.
Tag bigrams that BIO forbids have no probability. The loss made of it is `losses/tagging.py`.
"""

from functools import cache

import torch
from torch import nn
from torch.nn.utils import parametrize
from torchcrf import CRF

from relevance.evidence import Tag

FORBIDDEN = -1e4  # a transition's score that no path survives, and that float32 adds up exactly


class _Forbid(nn.Module):
    """Puts `FORBIDDEN` where `mask` is True; no gradient passes there."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.mask: torch.Tensor
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.masked_fill(self.mask, FORBIDDEN)


class EvidenceTagger(nn.Module):
    """Token states → tag emissions → sequence log-likelihood; query and title share it."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.emissions = nn.Linear(hidden, len(Tag))
        self.crf = CRF(len(Tag), batch_first=True)
        bigrams, starts = forbidden_transitions()
        parametrize.register_parametrization(self.crf, "transitions", _Forbid(bigrams))
        parametrize.register_parametrization(self.crf, "start_transitions", _Forbid(starts))

    def log_likelihood(
        self, states: torch.Tensor, tags: torch.Tensor, is_token: torch.Tensor
    ) -> torch.Tensor:
        """log p(tags | states) of each text: (texts,), float32.

        `states` (texts, tokens, hidden), `tags` and `is_token` (texts, tokens). Real tokens stand
        first in every row and every text has one. Autocast is off: log-sum-exps add up errors, and
        −1e4 has no bfloat16 neighbour within 32.
        """
        with torch.autocast(states.device.type, enabled=False):
            emitted = self.emissions(states.float())
            found: torch.Tensor = self.crf(emitted, tags, mask=is_token, reduction="none")
            return found

    @torch.no_grad()
    def decode(self, states: torch.Tensor, is_token: torch.Tensor) -> list[list[int]]:
        """The likeliest tags of each text, as long as it has tokens."""
        found: list[list[int]] = self.crf.decode(self.emissions(states.float()), mask=is_token)
        return found


@cache
def forbidden_transitions() -> tuple[torch.Tensor, torch.Tensor]:
    """What BIO does not allow: (tags, tags) from row to column, and (tags,) at the start.

    An I follows only a B or I of its own kind, and never opens a text.
    """
    before = {
        Tag.I_RELEVANT: (Tag.B_RELEVANT, Tag.I_RELEVANT),
        Tag.I_IRRELEVANT: (Tag.B_IRRELEVANT, Tag.I_IRRELEVANT),
    }
    bigrams = torch.tensor(
        [[to in before and tag not in before[to] for to in Tag] for tag in Tag], dtype=torch.bool
    )
    return bigrams, torch.tensor([tag in before for tag in Tag], dtype=torch.bool)
