"""What the deltas say, laid over a base: which ids have other rows now, and which have none.

Immutable: one more segment makes a new overlay, and whoever holds the old one sees no change.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
from jaxtyping import Int64, UInt64

from service.store.flat_ids import FlatIds
from service.store.id_index import HashIds, IdIndex, bucket_starts, sort_hashes
from service.store.segment import Segment

REMOVED = -1  # the row of an id that a tombstone took away


@dataclass(frozen=True, slots=True)
class Placed:
    """A segment whose puts lie in the arena from row `start` on."""

    segment: Segment
    start: int

    @property
    def records(self) -> pa.Table:
        """The puts' records."""
        return self.segment.columns[: self.segment.header.puts]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The newest entry of an id decides; entries are ordered from the newest to the oldest."""

    index: IdIndex
    unsorted: UInt64[np.ndarray, " entries"]
    rows: Int64[np.ndarray, " entries"]
    placed: tuple[Placed, ...] = ()
    starts: tuple[int, ...] = field(default=())

    @classmethod
    def empty(cls, hash_ids: HashIds) -> Self:
        """An overlay that changes nothing."""
        none = np.empty(0, np.uint64)
        return cls(_index(FlatIds.of([]), none, hash_ids), none, np.empty(0, np.int64))

    def with_segment(self, segment: Segment, *, start: int) -> Self:
        """This overlay after a segment whose puts were placed from row `start` on."""
        hash_ids, ids = self.index.hash_ids, segment.ids
        unsorted = np.concatenate([hash_ids(ids.encoded()), self.unsorted])
        puts, removals = segment.header.puts, segment.header.removals
        rows = [np.arange(start, start + puts), np.full(removals, REMOVED, np.int64), self.rows]
        return type(self)(
            index=_index(FlatIds.joined([ids, self.index.ids]), unsorted, hash_ids),
            unsorted=unsorted,
            rows=np.concatenate(rows),
            placed=(*self.placed, Placed(segment, start)),
            starts=(*self.starts, start),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def newest(self) -> tuple[list[bytes], Int64[np.ndarray, " ids"]]:
        """Every id the overlay speaks of, and its row or `REMOVED`."""
        encoded = self.index.ids.encoded()
        entries = np.unique(self.index.entries_of(encoded))
        return [encoded[entry] for entry in entries.tolist()], self.rows[entries]

    def find(self, row: int) -> tuple[Placed, int]:
        """The segment that row belongs to, and its place in there."""
        placed = self.placed[bisect_right(self.starts, row) - 1]
        return placed, row - placed.start


def _index(ids: FlatIds, unsorted: UInt64[np.ndarray, " entries"], hash_ids: HashIds) -> IdIndex:
    hashes, entries = sort_hashes(unsorted)
    buckets = bucket_starts(hashes) if len(hashes) else np.zeros(3, np.uint32)
    return IdIndex(hashes, entries, buckets, ids, hash_ids)
