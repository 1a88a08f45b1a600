"""Candidates without embeddings whose text is stored: which of them one request may encode.

How many a worker encodes a second, which ids nobody had a moment ago, and where encoded items go
afterwards are `store.write_back`'s; without those, only the request's own limit holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relevance.domain import Item
from service.item_codec import EncodedItems
from service.store.found import stored_items
from service.store.item_store import ItemStore
from service.store.write_back import AbsentIds, EncodeBudget, WriteBack


@dataclass(frozen=True, slots=True)
class MissingTexts:
    """The bounds of one worker, each of which may be absent; shared by all its requests."""

    budget: EncodeBudget | None = None
    absent: AbsentIds | None = None
    write_back: WriteBack | None = None

    def stored(self, items: ItemStore, item_ids: Sequence[str]) -> list[Item]:
        """Those of the distinct `item_ids` whose text the store knows."""
        asked = list(item_ids)
        if self.absent is not None:
            asked = self.absent.worth_asking(asked, items=items)
        found = stored_items(items, asked)
        if self.absent is not None:
            nobodys = [i for i, item in zip(asked, found, strict=True) if item is None]
            self.absent.note(nobodys, items=items)
        return [item for item in found if item is not None]

    def granted(self, count: int) -> int:
        """How many of so many items may be encoded now."""
        return count if self.budget is None else self.budget.take(count)

    def keep(self, items: Sequence[Item], texts: Sequence[str], encoded: EncodedItems) -> None:
        """Hand encoded items over, so that the next request finds them."""
        if self.write_back is not None and items:
            self.write_back.offer(items, texts, encoded)
