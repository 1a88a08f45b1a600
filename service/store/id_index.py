"""Item ids to arena rows: binary search over 64-bit hashes, then the real id decides.

No Python object per item: the hashes and rows are arrays, the ids one Arrow column.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from jaxtyping import Int64, UInt32, UInt64

from relevance.errors import BadInput

HashIds = Callable[[Sequence[str]], UInt64[np.ndarray, " ids"]]


def hash_ids(item_ids: Sequence[str]) -> UInt64[np.ndarray, " ids"]:
    """xxh3_64 of each id's UTF-8."""
    digests = (xxhash.xxh3_64_intdigest(item_id.encode()) for item_id in item_ids)
    return np.fromiter(digests, np.uint64, len(item_ids))


def sort_hashes(
    hashes: UInt64[np.ndarray, " items"],
) -> tuple[UInt64[np.ndarray, " items"], UInt32[np.ndarray, " items"]]:
    """The hashes in ascending order and the row each belongs to."""
    order = np.argsort(hashes, kind="stable")
    return hashes[order], order.astype(np.uint32)


class IdIndex:
    """Finds rows; two ids with one hash are told apart by the ids themselves."""

    def __init__(
        self,
        hashes: UInt64[np.ndarray, " items"],
        rows: UInt32[np.ndarray, " items"],
        item_ids: pa.StringArray,
        *,
        hash_ids: HashIds = hash_ids,
    ) -> None:
        self._hashes = hashes
        self._rows = rows
        self._item_ids = item_ids
        self._hash_ids = hash_ids

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The row of each id, -1 for an unknown one."""
        if not len(self._hashes):
            return np.full(len(item_ids), -1, np.int64)
        hashes = self._hash_ids(item_ids)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        rows = self._rows[places].astype(np.int64)
        right = self._holds(rows, item_ids)
        rows[~right] = -1
        collided = ~right & (self._hashes[places] == hashes)
        for at in np.flatnonzero(collided).tolist():
            rows[at] = self._row_past_collision(int(places[at]), item_ids[at])
        return rows

    def check_distinct(self) -> None:
        """Raise `BadInput` where two rows hold the same id."""
        for place in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]):
            item_id = self._item_ids[int(self._rows[place])].as_py()
            if self._row_past_collision(int(place) + 1, item_id) >= 0:
                raise BadInput(f"item_id `{item_id}`: expected each id once, got it twice")

    def _holds(self, rows: Int64[np.ndarray, " ids"], item_ids: Sequence[str]) -> np.ndarray:
        found = self._item_ids.take(pa.array(rows))
        same = pc.equal(found, pa.array(item_ids, pa.string()))
        return same.to_numpy(zero_copy_only=False)

    def _row_past_collision(self, place: int, item_id: str) -> int:
        first = self._hashes[place]
        while place < len(self._hashes) and self._hashes[place] == first:
            row = int(self._rows[place])
            if self._item_ids[row].as_py() == item_id:
                return row
            place += 1
        return -1
