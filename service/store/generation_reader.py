"""A generation on disk as an `ItemStore`: one snapshot of a base and the deltas applied to it.

The base is checked when opened and then mapped; deltas are mapped behind it, in the same arena.
Which generation to open stands in the store's `CURRENT`; see `relevance.generation`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int64, UInt8, UInt64

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import BadGeneration
from relevance.generation import GenerationManifest, StorePaths
from service.store.base import Base, open_base
from service.store.delta_log import SegmentFile, segment_files
from service.store.flat_ids import encode_ids
from service.store.id_index import HashIds, hash_ids
from service.store.item_records import SCHEMA, items_of, record_batch, record_hashes
from service.store.overlay import REMOVED, Overlay
from service.store.room import Room
from service.store.segment import Segment, SegmentVanished, read_segment

READINGS = 3  # merges are minutes apart
SETTLED_SECONDS = 0.1  # a folder's time of change is only as fine as the kernel's clock


@dataclass(frozen=True, slots=True)
class GenerationReader:
    """One snapshot; what it shows stays as long as this value or one of its arrays.

    Rows are the base's, then those of deltas; some in between belong to no item. Rows of items
    that were removed or replaced stay readable, `rows_of` and `live_rows` leave them out.
    """

    base: Base
    deltas: Path
    sequence: int
    overlay: Overlay
    arena: UInt8[np.ndarray, "items rows dim"]
    token_counts: UInt8[np.ndarray, " items"]
    truncated: UInt8[np.ndarray, " items"]
    _room: Room
    _applied: tuple[SegmentFile, ...] = ()
    _seen: int | None = None

    @property
    def manifest(self) -> GenerationManifest:
        """The base's manifest."""
        return self.base.manifest

    @property
    def generation_id(self) -> str:
        """The generation the snapshot shows."""
        return self.base.manifest.generation_id

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The arena row of each id, -1 where the snapshot does not know it."""
        encoded = encode_ids(item_ids)
        rows = self.base.index.entries_of(encoded)
        if len(self.overlay):
            entries = self.overlay.index.entries_of(encoded)
            rows = np.where(entries >= 0, self.overlay.rows[entries], rows)
        return rows

    def index_arrays(self) -> tuple[np.ndarray, ...]:
        """What is read of the base to find ids."""
        index = self.base.index
        return (index.buckets, index.hashes, index.entries, index.ids.offsets, index.ids.content)

    def live_rows(self) -> Int64[np.ndarray, " live"]:
        """The row of every item there is, ascending."""
        is_live = np.ones(self.manifest.items, np.bool_)
        ids, rows = self.overlay.newest()
        replaced = self.base.index.entries_of(ids)
        is_live[replaced[replaced >= 0]] = False
        return np.concatenate([np.flatnonzero(is_live), np.sort(rows[rows != REMOVED])])

    def live_count(self) -> int:
        """How many items there are."""
        ids, rows = self.overlay.newest()
        replaced = np.count_nonzero(self.base.index.entries_of(ids) >= 0)
        return self.manifest.items - int(replaced) + int(np.count_nonzero(rows != REMOVED))

    def item(self, row: int) -> Item:
        """The item at a row, as the catalogue had it."""
        return self.items([row])[0]

    def items(self, rows: Sequence[int]) -> list[Item]:
        """The items at some rows."""
        found = []
        for row in rows:
            table, at = self._record(row)
            found.extend(items_of(table.slice(at, 1)))
        return found

    def live_records(self, *, at_most: int) -> Iterator[pa.RecordBatch]:
        """The record of every item there is, in the order of `live_rows`."""
        rows = self.live_rows()
        parts = [(0, self.base.records)]
        parts += [(one.start, one.records) for one in self.overlay.placed]
        for start, table in parts:
            low, high = np.searchsorted(rows, (start, start + len(table)))
            for first in range(low, high, at_most):
                wanted = rows[first : min(first + at_most, high)] - start
                block = table.slice(int(wanted[0]), int(wanted[-1] - wanted[0]) + 1)
                taken = block.take(pa.array(wanted - wanted[0])).select(SCHEMA.names)
                yield from taken.combine_chunks().to_batches()

    def item_ids(self, rows: Int64[np.ndarray, " rows"]) -> list[str]:
        """The ids at some rows."""
        in_base = rows < self.manifest.items
        ids = np.empty(len(rows), object)
        ids[in_base] = self.base.index.ids.texts(rows[in_base])
        for at in np.flatnonzero(~in_base).tolist():
            placed, place = self.overlay.find(int(rows[at]))
            ids[at] = placed.segment.ids.texts(np.array([place]))[0]
        return ids.tolist()

    def content_hashes(self, rows: Int64[np.ndarray, " rows"]) -> UInt64[np.ndarray, "rows two"]:
        """Hashes of the encoded text and of all fields; 0 for the text where none was kept."""
        hashes = np.empty((len(rows), 2), np.uint64)
        in_base = rows < self.manifest.items
        if self.base.content_hashes is not None:
            hashes[in_base] = self.base.content_hashes[rows[in_base]]
        elif in_base.any():
            hashes[in_base, 0] = 0
            hashes[in_base, 1] = record_hashes(record_batch(self.items(rows[in_base].tolist())))
        for at in np.flatnonzero(~in_base).tolist():
            placed, place = self.overlay.find(int(rows[at]))
            hashes[at] = placed.segment.hashes[place]
        return hashes

    def latest(self) -> "GenerationReader":
        """This generation as of now; with the same sequence where nothing was appended since.

        Costs a look at one folder's time of change. Raises `BadGeneration` where a new segment is
        damaged; this snapshot then still answers.
        """
        changed = _changed(self.deltas)
        if changed == self._seen and changed is not None:
            return self
        seen = changed if _is_settled(changed) else None
        return replace(_unless_merged(self._reread), _seen=seen)

    def _reread(self) -> "GenerationReader":
        files, known = tuple(segment_files(self.deltas)), len(self._applied)
        grown = self._apply(files[known:]) if files[:known] == self._applied else None
        return _fresh(self.base, self.deltas, files) if grown is None else grown

    def _apply(self, files: Sequence[SegmentFile]) -> "GenerationReader | None":
        """This snapshot after more segments; None where the reserved room does not hold them."""
        if not files:
            return self
        overlay = self.overlay
        with self._room.lock:
            for file in files:
                segment = read_segment(file.path)
                _check_origin(segment, file, self.manifest)
                start = self._room.place(segment)
                if start is None:
                    return None
                overlay = overlay.with_segment(segment, start=start)
            end = self._room.end
        return replace(
            self,
            sequence=files[-1].last,
            overlay=overlay,
            arena=self._room.arena[:end],
            token_counts=self._room.token_counts[:end],
            truncated=self._room.truncated[:end],
            _applied=(*self._applied, *files),
        )

    def _record(self, row: int) -> tuple[pa.Table, int]:
        if row < self.manifest.items:
            return self.base.records, row
        placed, place = self.overlay.find(row)
        return placed.records.select(self.base.records.schema.names), place


def open_generation(
    folder: Path, bundle: BundleManifest, *, hash_ids: HashIds = hash_ids
) -> GenerationReader:
    """Check a generation against its manifest and its bundle, map it and apply its deltas.

    Raises `BadGeneration` naming the file and what differs.
    """
    base = open_base(folder, bundle, hash_ids=hash_ids)
    deltas = StorePaths(folder.parent.parent).deltas(folder.name)
    return _unless_merged(lambda: _fresh(base, deltas, tuple(segment_files(deltas))))


def _fresh(base: Base, deltas: Path, files: tuple[SegmentFile, ...]) -> GenerationReader:
    room = Room(base, files)
    items = base.manifest.items
    bare = GenerationReader(
        base=base,
        deltas=deltas,
        sequence=0,
        overlay=Overlay.empty(base.index.hash_ids),
        arena=room.arena[:items],
        token_counts=room.token_counts[:items],
        truncated=room.truncated[:items],
        _room=room,
    )
    applied = bare._apply(files)
    if applied is None:
        raise BadGeneration(f"{deltas}: more changes than address space was reserved for")
    return applied


def _unless_merged(read: Callable[[], GenerationReader]) -> GenerationReader:
    """Read again where small segments were merged, and so vanished, in the meantime."""
    for _ in range(READINGS):
        try:
            return read()
        except SegmentVanished:
            continue
    return read()


def _check_origin(segment: Segment, file: SegmentFile, manifest: GenerationManifest) -> None:
    header = segment.header
    expected = (manifest.bundle_id, manifest.rows, manifest.dim, file.first, file.last)
    found = (header.bundle_id, header.rows, header.dim, header.first, header.last)
    if found != expected or header.generation_id != manifest.generation_id:
        raise BadGeneration(
            f"{segment.path}: expected a segment of {manifest.generation_id} with bundle, rows, "
            f"dim, first, last {expected}, got {found} of {header.generation_id}"
        )


def _changed(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
    except OSError:
        return None


def _is_settled(changed: int | None) -> bool:
    return changed is not None and time.time() - changed / 1e9 > SETTLED_SECONDS
