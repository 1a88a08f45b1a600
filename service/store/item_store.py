"""The door to item token embeddings: one immutable snapshot that a request scores against.

Writing and publishing generations is not behind this door.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Int64, UInt8

from relevance.domain import Item


class ItemStore(Protocol):
    """One snapshot of every item's rows; nothing about it changes while it is open."""

    @property
    def generation_id(self) -> str:
        """The generation the snapshot shows."""
        ...

    @property
    def sequence(self) -> int:
        """The number of changes applied on top of the generation."""
        ...

    @property
    def arena(self) -> UInt8[np.ndarray, "items rows dim"]:
        """The token embeddings of every item."""
        ...

    @property
    def token_counts(self) -> UInt8[np.ndarray, " items"]:
        """Real tokens of every item; 0 = the item has no text."""
        ...

    @property
    def truncated(self) -> UInt8[np.ndarray, " items"]:
        """1 where an item's text was cut."""
        ...

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The arena row of each id, -1 where the store does not know it."""
        ...

    def item(self, row: int) -> Item:
        """The item at a row, as the catalogue had it."""
        ...
