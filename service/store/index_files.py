"""The index of a folder's ids, built as files in bounded memory, and ids found that come twice.

Hashes are spread over parts by their leading bits, so that each part can be sorted by itself and
the sorted parts follow one another: the memory of one part, and 12 bytes an id of scratch on the
same disk. Looking up is `id_index.py`'s.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from jaxtyping import UInt32, UInt64

from relevance.errors import BadInput
from relevance.generation import ID_BUCKETS, ID_HASHES, ID_OFFSETS, ID_ROWS, IDS
from service.store.flat_ids import FlatIds
from service.store.id_index import (
    HashIds,
    IdIndex,
    bucket_bits,
    check_distinct,
    first_in_buckets,
    hash_ids,
    repeated_ids,
    sort_hashes,
)
from service.store.mapped import map_array

IDS_PER_PART = 1 << 20  # sorted in memory at once
IDS_PER_BATCH = 1 << 17  # hashed at once
MOST_PART_BITS = 8  # each part is an open file
_UNSORTED = np.dtype([("hash", "<u8"), ("entry", "<u4")])

Sorted = tuple[UInt64[np.ndarray, " ids"], UInt32[np.ndarray, " ids"]]


def write_id_index(
    folder: Path, *, hash_ids: HashIds = hash_ids, ids_per_part: int = IDS_PER_PART
) -> int:
    """Write the index of the ids already written; returns their number.

    Raises `BadInput` where there is no id or one comes twice.
    """
    ids = written_ids(folder)
    if not len(ids):
        raise BadInput(f"{folder}: expected at least one item, got none")
    bits, part_bits, longest, start = bucket_bits(len(ids)), _part_bits(ids, ids_per_part), 0, 0
    with ExitStack() as files:
        hashes, rows, buckets = (
            files.enter_context((folder / name).open("wb"))
            for name in (ID_HASHES, ID_ROWS, ID_BUCKETS)
        )
        for part, (ascending, entries) in enumerate(_parts(folder, ids, hash_ids, part_bits)):
            check_distinct(ascending, entries, ids)
            ascending.astype("<u8").tofile(hashes)
            entries.astype("<u4").tofile(rows)
            firsts = first_in_buckets(ascending, bits, part=part, part_bits=part_bits)
            (firsts + start).astype("<u4").tofile(buckets)
            start += len(ascending)
            longest = max(longest, int(np.diff(firsts, append=len(ascending)).max()))
        np.array([start, longest], "<u4").tofile(buckets)
    return len(ids)


def repeated_entries(
    folder: Path, *, hash_ids: HashIds = hash_ids, ids_per_part: int = IDS_PER_PART
) -> Iterator[tuple[int, int]]:
    """Pairs of entries (an earlier, a later one) of the ids already written that hold the same."""
    ids = written_ids(folder)
    for ascending, entries in _parts(folder, ids, hash_ids, _part_bits(ids, ids_per_part)):
        yield from repeated_ids(ascending, entries, ids)


def map_id_index(folder: Path, items: int, *, hash_ids: HashIds = hash_ids) -> IdIndex:
    """The index of so many ids, mapped; raises `BadGeneration` where a file has another size."""
    buckets = (folder / ID_BUCKETS).stat().st_size // 4
    return IdIndex(
        hashes=map_array(folder / ID_HASHES, "<u8", (items,)),
        entries=map_array(folder / ID_ROWS, "<u4", (items,)),
        buckets=map_array(folder / ID_BUCKETS, "<u4", (buckets,)),
        ids=FlatIds(
            map_array(folder / IDS, "u1", ((folder / IDS).stat().st_size,)),
            map_array(folder / ID_OFFSETS, "<u8", (items + 1,)),
        ),
        hash_ids=hash_ids,
    )


def written_ids(folder: Path) -> FlatIds:
    """The ids already written, mapped."""
    size, offsets = ((folder / name).stat().st_size for name in (IDS, ID_OFFSETS))
    return FlatIds(
        map_array(folder / IDS, "u1", (size,)),
        map_array(folder / ID_OFFSETS, "<u8", (offsets // 8,)),
    )


def _part_bits(ids: FlatIds, ids_per_part: int) -> int:
    """How many leading bits name a part; never more than name a bucket."""
    wanted = ((len(ids) - 1) // ids_per_part).bit_length() if len(ids) else 0
    return min(wanted, bucket_bits(len(ids)), MOST_PART_BITS)


def _parts(folder: Path, ids: FlatIds, hash_ids: HashIds, bits: int) -> Iterator[Sorted]:
    """Every part's hashes in ascending order with their entries, the first of equals first."""
    if not bits:
        together = [found for _, found in _hashed(ids, hash_ids)]
        yield sort_hashes(np.concatenate([np.empty(0, np.uint64), *together]))
        return
    with ExitStack() as opened:
        files = [opened.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(1 << bits)]
        for start, hashes in _hashed(ids, hash_ids):
            part = (hashes >> np.uint64(64 - bits)).astype(np.int64)
            order = np.argsort(part, kind="stable")
            spread = np.empty(len(hashes), _UNSORTED)
            spread["hash"], spread["entry"] = hashes[order], order + start
            ends = np.cumsum(np.bincount(part, minlength=len(files)))
            for file, piece in zip(files, np.split(spread, ends[:-1]), strict=True):
                file.write(piece.data)
        for file in files:
            file.seek(0)
            unsorted = np.frombuffer(file.read(), _UNSORTED)
            ascending, order = sort_hashes(unsorted["hash"])
            yield ascending, unsorted["entry"][order]


def _hashed(ids: FlatIds, hash_ids: HashIds) -> Iterator[tuple[int, UInt64[np.ndarray, " ids"]]]:
    """The first entry and the hashes of each batch."""
    for start in range(0, len(ids), IDS_PER_BATCH):
        yield start, hash_ids(ids.slice(start, start + IDS_PER_BATCH).encoded())
