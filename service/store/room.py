"""The memory that all snapshots of a generation show: its base, and its deltas placed behind it."""

import threading
from collections.abc import Sequence

from relevance.generation import EMBEDDINGS, TOKEN_COUNTS, TRUNCATED
from service.store.base import Base
from service.store.delta_log import SegmentFile
from service.store.region import ALIGNMENT, Region, rows_between_files
from service.store.segment import Segment

LEAST_ROOM = 1 << 20  # rows of address space kept for deltas; costs no memory


class Room:
    """The regions one base and its deltas lie in; grows behind what snapshots show."""

    def __init__(self, base: Base, segments: Sequence[SegmentFile]) -> None:
        manifest = base.manifest
        self._item_bytes = manifest.item_bytes
        self._stride = rows_between_files(manifest.item_bytes)
        held = sum(file.last - file.first + 1 for file in segments)
        room = max(LEAST_ROOM, manifest.items // 2, 1024 * self._stride)
        self.capacity = self._aligned(manifest.items) + room + 2 * held
        self.end = manifest.items
        self._arena = Region(self.capacity * manifest.item_bytes)
        self._arena.map_file(
            base.folder / EMBEDDINGS, at=0, offset=0, length=manifest.items * manifest.item_bytes
        )
        self._bytes = {name: Region(self.capacity) for name in (TOKEN_COUNTS, TRUNCATED)}
        for name, region in self._bytes.items():
            region.copy_on_write_file(base.folder / name, length=manifest.items)
        shape = (self.capacity, manifest.rows, manifest.dim)
        used = self.capacity * manifest.item_bytes
        self.arena = self._arena.array()[:used].reshape(shape)
        shown = {name: region.array()[: self.capacity] for name, region in self._bytes.items()}
        self.token_counts, self.truncated = shown[TOKEN_COUNTS], shown[TRUNCATED]
        self.lock = threading.Lock()

    def place(self, segment: Segment) -> int | None:
        """Map a segment's embeddings; the first row they lie in, None where room is short."""
        start, puts = self._aligned(self.end), segment.header.puts
        if start + puts > self.capacity:
            return None
        if puts:
            self._arena.map_file(
                segment.path,
                at=start * self._item_bytes,
                offset=ALIGNMENT,
                length=segment.header.arena_bytes,
            )
            self._bytes[TOKEN_COUNTS].write(start, segment.counts("token_count"))
            self._bytes[TRUNCATED].write(start, segment.counts("truncated"))
            self.end = start + puts
        return start

    def _aligned(self, row: int) -> int:
        return -(-row // self._stride) * self._stride
