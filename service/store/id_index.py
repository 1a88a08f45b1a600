"""Item ids to entries: a binary search over 64-bit hashes, then the real id decides.

No Python object per id: hashes, entries, bucket starts and the ids themselves are arrays, which a
generation maps from files. Hashes are spread evenly, so their leading bits name a bucket of about
eight neighbours, and a look-up costs the same at a million ids as at a hundred million.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import xxhash
from jaxtyping import Int64, UInt32, UInt64

from relevance.errors import BadInput
from service.store.flat_ids import FlatIds, encode_ids

IDS_PER_BUCKET = 8  # one cache line of hashes

HashIds = Callable[[Sequence[bytes]], UInt64[np.ndarray, " ids"]]


def hash_ids(encoded: Sequence[bytes]) -> UInt64[np.ndarray, " ids"]:
    """xxh3_64 of each id's UTF-8."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, encoded), np.uint64, len(encoded))


def sort_hashes(
    hashes: UInt64[np.ndarray, " items"],
) -> tuple[UInt64[np.ndarray, " items"], UInt32[np.ndarray, " items"]]:
    """The hashes in ascending order and the entry each belongs to, the first of equals first."""
    order = np.argsort(hashes, kind="stable")
    return hashes[order], order.astype(np.uint32)


def bucket_bits(count: int) -> int:
    """How many leading bits of a hash name its bucket, in an index of so many."""
    return max(0, (count // IDS_PER_BUCKET).bit_length())


def first_in_buckets(
    ascending: UInt64[np.ndarray, " hashes"], bits: int, *, part: int = 0, part_bits: int = 0
) -> Int64[np.ndarray, " buckets"]:
    """Where each bucket begins, of the buckets whose leading `part_bits` bits are `part`."""
    buckets = np.arange(1 << (bits - part_bits), dtype=np.uint64)
    buckets += np.uint64(part << (bits - part_bits))
    return np.searchsorted(ascending, buckets << np.uint64((64 - bits) % 64))


def bucket_starts(
    ascending: UInt64[np.ndarray, " items"],
) -> UInt32[np.ndarray, " buckets_and_two"]:
    """Where each bucket begins, then the number of hashes, then the longest bucket's length."""
    starts = np.append(first_in_buckets(ascending, bucket_bits(len(ascending))), len(ascending))
    return np.append(starts, np.diff(starts).max()).astype(np.uint32)


def repeated_ids(
    hashes: UInt64[np.ndarray, " hashes"], entries: UInt32[np.ndarray, " hashes"], ids: FlatIds
) -> list[tuple[int, int]]:
    """Pairs of entries (an earlier, a later one) that hold the same id; hashes ascend."""
    found = []
    for place in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():
        entry = int(entries[place])
        again = _entry_from(place + 1, ids.at(entry), hashes, entries, ids)
        if again >= 0:
            found.append((entry, again))
    return found


def check_distinct(
    hashes: UInt64[np.ndarray, " hashes"], entries: UInt32[np.ndarray, " hashes"], ids: FlatIds
) -> None:
    """Raise `BadInput` where two entries hold the same id; hashes ascend."""
    for entry, _ in repeated_ids(hashes, entries, ids):
        item_id = ids.texts(np.array([entry]))[0]
        raise BadInput(f"item_id `{item_id}`: expected each id once, got it twice")


@dataclass(frozen=True, slots=True)
class IdIndex:
    """Finds entries; two ids with one hash are told apart by the ids themselves.

    Where an id comes several times the one sorted first is found.
    """

    hashes: UInt64[np.ndarray, " items"]
    entries: UInt32[np.ndarray, " items"]
    buckets: UInt32[np.ndarray, " buckets_and_two"]
    ids: FlatIds
    hash_ids: HashIds = hash_ids

    @classmethod
    def of(cls, ids: FlatIds, *, hash_ids: HashIds = hash_ids) -> Self:
        """Index ids in memory; the first of equal ids is found."""
        hashes, entries = sort_hashes(hash_ids(ids.encoded()))
        return cls(hashes, entries, bucket_starts(hashes), ids, hash_ids)

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The entry of each id, -1 for an unknown one."""
        return self.entries_of(encode_ids(item_ids))

    def entries_of(self, encoded: Sequence[bytes]) -> Int64[np.ndarray, " ids"]:
        """The same for ids that are encoded already."""
        if not len(self.hashes):
            return np.full(len(encoded), -1, np.int64)
        asked, hashes = FlatIds.of(encoded), self.hash_ids(encoded)
        places = np.minimum(self._places(hashes), len(self.hashes) - 1)
        entries = self.entries[places].astype(np.int64)
        right = self.ids.hold(entries, asked)
        entries[~right] = -1
        collided = ~right & (self.hashes[places] == hashes)
        for at in np.flatnonzero(collided).tolist():
            entries[at] = _entry_from(
                int(places[at]), encoded[at], self.hashes, self.entries, self.ids
            )
        return entries

    def _places(self, hashes: UInt64[np.ndarray, " ids"]) -> Int64[np.ndarray, " ids"]:
        """Where each hash is, or would be, among the ascending ones; anywhere past them if above.

        A binary search from all buckets' beginnings at once. It may look past a bucket's end: what
        stands there is larger than all of the bucket.
        """
        buckets = len(self.buckets) - 2
        if buckets == 1:
            return np.searchsorted(self.hashes, hashes)
        bucket = (hashes >> np.uint64(65 - buckets.bit_length())).astype(np.int64)
        low = self.buckets[bucket].astype(np.int64)
        length, last = int(self.buckets[-1]), len(self.hashes) - 1
        while length > 0:
            half = (length + 1) // 2
            is_less = self.hashes[np.minimum(low + (half - 1), last)] < hashes
            low += half * is_less
            length -= half
        return low


def _entry_from(
    place: int,
    encoded: bytes,
    hashes: UInt64[np.ndarray, " hashes"],
    entries: UInt32[np.ndarray, " hashes"],
    ids: FlatIds,
) -> int:
    """The first entry from a place on, within one hash, that holds an id; -1 where none does."""
    first = hashes[place]
    while place < len(hashes) and hashes[place] == first:
        entry = int(entries[place])
        if ids.at(entry) == encoded:
            return entry
        place += 1
    return -1
