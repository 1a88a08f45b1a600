"""Items to the rows the scorer reads: text, token embeddings, uint8.

Refresh and inline scoring both come here, so an item scores the same cached or sent along.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.item_text import item_text
from relevance.late_interaction import ITEM_ZERO_POINT, quantise_item
from service.encoder import TokenEncoder


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """Some items as the arena holds them.

    An item without a token has `token_counts` 0 and rows of the zero point; it has no score.
    """

    embeddings: UInt8[np.ndarray, "items rows dim"]
    token_counts: UInt8[np.ndarray, " items"]
    truncated: Bool[np.ndarray, " items"]

    def __len__(self) -> int:
        return len(self.token_counts)


class ItemCodec:
    """What one bundle makes of items."""

    def __init__(self, encoder: TokenEncoder, manifest: BundleManifest) -> None:
        self._encoder = encoder
        self._manifest = manifest

    def text(self, item: Item) -> str:
        """What the encoder reads of `item`."""
        return item_text(item, self._manifest.item_text)

    def encode(self, texts: Sequence[str]) -> EncodedItems:
        """The items with these texts, each encoded alone."""
        rows = self._manifest.max_item_tokens
        shape = (len(texts), rows, self._manifest.dim)
        embeddings = np.full(shape, ITEM_ZERO_POINT, np.uint8)
        token_counts = np.zeros(len(texts), np.uint8)
        truncated = np.zeros(len(texts), np.bool_)
        for at, text in enumerate(texts):
            tokens = self._encoder.encode(text, limit=rows)
            token_counts[at], truncated[at] = len(tokens.vectors), tokens.truncated
            if len(tokens.vectors):
                embeddings[at] = quantise_item(
                    tokens.vectors, scale=self._manifest.item_scale, rows=rows
                )
        return EncodedItems(embeddings, token_counts, truncated)
