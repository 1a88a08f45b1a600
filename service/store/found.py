"""Where the rows of a request's candidates lie: in the base's arena, a delta's, or a fetched block.

One look-up a request, in arrays. Scoring them is `service.score`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int16, Int64, UInt8

from relevance.domain import Item
from service.store.item_store import ItemStore

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Found:
    """Candidate i's rows are `arenas[arena[i]][row[i]]`; `arena[i]` is -1 for an unknown id.

    `token_counts` is 0 for an item without text and for an unknown one. `degraded` holds reasons
    this look-up met, say a tier that did not answer.
    """

    arenas: tuple[UInt8[np.ndarray, "items rows dim"], ...]
    arena: Int16[np.ndarray, " candidates"]
    row: Int64[np.ndarray, " candidates"]
    token_counts: UInt8[np.ndarray, " candidates"]
    truncated: Bool[np.ndarray, " candidates"]
    degraded: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row)

    @property
    def is_known(self) -> Bool[np.ndarray, " candidates"]:
        """Whether the store has the item."""
        return self.arena != UNKNOWN


def find(items: ItemStore, item_ids: Sequence[str]) -> Found:
    """Look ids up in a store: its own `find`, or that of a store with one arena."""
    own = getattr(items, "find", None)
    if own is not None:
        return own(item_ids)
    row = items.rows_of(item_ids)
    is_known = row >= 0
    return Found(
        arenas=(items.arena,),
        arena=is_known.astype(np.int16) + np.int16(UNKNOWN),
        row=row,
        token_counts=items.token_counts[row] * is_known,
        truncated=is_known & (items.truncated[row] > 0),
    )


def stored_items(items: ItemStore, item_ids: Sequence[str]) -> list[Item | None]:
    """Each item as the catalogue had it; None where the store does not know the id."""
    own = getattr(items, "stored_items", None)
    if own is not None:
        return own(item_ids)
    rows = items.rows_of(item_ids).tolist()
    return [items.item(row) if row >= 0 else None for row in rows]
