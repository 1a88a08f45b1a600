"""Texts as the encoder sees them: token ids, and padded batches of them.

Lengths count real tokens; special tokens come on top and are never compared (design: they live in
the encoder only).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """Ids with special tokens; `is_token` is True where a real token stands.

    `offsets` are the real tokens' `[start, end)` characters in the normalised text.
    """

    ids: tuple[int, ...]
    is_token: tuple[bool, ...]
    offsets: tuple[tuple[int, int], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Padded texts: all tensors are (texts, tokens); `is_token` leaves out specials and padding."""

    ids: torch.Tensor
    attention: torch.Tensor
    is_token: torch.Tensor


def tokenise(tokenizer: Tokenizer, texts: Sequence[str], *, length: int) -> list[TokenisedText]:
    """Tokenise normalised texts, cut to `length` real tokens."""
    tokenizer.enable_truncation(length + tokenizer.num_special_tokens_to_add(is_pair=False))
    encoded = tokenizer.encode_batch(list(texts))
    tokenizer.no_truncation()
    return [
        TokenisedText(
            ids=tuple(e.ids),
            is_token=tuple(not special for special in e.special_tokens_mask),
            offsets=tuple(
                o for o, s in zip(e.offsets, e.special_tokens_mask, strict=True) if not s
            ),
            truncated=bool(e.overflowing),
        )
        for e in encoded
    ]


def pad(texts: Sequence[TokenisedText], *, pad_id: int = 0) -> TextBatch:
    """Pad to the longest of `texts`."""
    longest = max(len(text.ids) for text in texts)
    ids = torch.full((len(texts), longest), pad_id, dtype=torch.long)
    attention = torch.zeros((len(texts), longest), dtype=torch.long)
    is_token = torch.zeros((len(texts), longest), dtype=torch.bool)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = torch.tensor(text.ids)
        attention[row, : len(text.ids)] = 1
        is_token[row, : len(text.ids)] = torch.tensor(text.is_token)
    return TextBatch(ids, attention, is_token)
