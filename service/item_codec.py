"""Items to the rows the scorer reads: text, token embeddings, uint8.

Refresh and inline scoring both come here, so an item scores the same cached or sent along.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.item_rows import item_rows
from relevance.item_text import item_text
from relevance.late_interaction import ITEM_ZERO_POINT
from relevance.text import normalise
from service.encoder import TokenEmbeddings, TokenEncoder


@dataclass(frozen=True, slots=True)
class EncodedItems:
    """Some items as the arena holds them.

    `token_counts` counts the rows that stand for tokens: as many as tokens, unless the bundle's
    codec skips or pools some. An item without a token has none, and rows of the zero point; it has
    no score.
    """

    embeddings: UInt8[np.ndarray, "items rows row_bytes"]
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

    def encode(self, texts: Iterable[str]) -> EncodedItems:
        """The items with these texts, each encoded alone; as many as `texts` gives."""
        limit = self._manifest.max_item_tokens
        return self._encoded((text, self._encoder.encode(text, limit=limit)) for text in texts)

    def encode_all(self, texts: Sequence[str]) -> EncodedItems:
        """The same bytes for texts that are all at hand; quicker where they may share work."""
        limit = self._manifest.max_item_tokens
        return self._encoded(zip(texts, self._encoder.encode_all(texts, limit=limit), strict=True))

    def _encoded(self, embedded: Iterable[tuple[str, TokenEmbeddings]]) -> EncodedItems:
        manifest = self._manifest
        embeddings, row_counts, truncated = [], [], []
        for text, tokens in embedded:
            values, row_count = self._rows(normalise(text), tokens)
            embeddings.append(values)
            row_counts.append(row_count)
            truncated.append(tokens.truncated)
        shape = (-1, manifest.rows, manifest.row_bytes)
        return EncodedItems(
            np.array(embeddings, np.uint8).reshape(shape),
            np.array(row_counts, np.uint8),
            np.array(truncated, np.bool_),
        )

    def _rows(
        self, text: str, tokens: TokenEmbeddings
    ) -> tuple[UInt8[np.ndarray, "rows row_bytes"], int]:
        """One item's rows and how many of them stand for tokens."""
        manifest = self._manifest
        if not len(tokens.vectors):
            return np.full((manifest.rows, manifest.row_bytes), ITEM_ZERO_POINT, np.uint8), 0
        rows = item_rows(
            tokens.vectors,
            [text[start:end] for start, end in tokens.offsets],
            codec=manifest.codec,
            scale=manifest.item_scale,
            rows=manifest.rows,
        )
        return rows.values, len(rows.members)
