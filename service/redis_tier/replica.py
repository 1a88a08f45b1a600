"""A replica: a local generation kept at what Redis's records say, change by change.

Entries of the stream say which items changed; their records are read, verified and appended as
one delta, and only then the position is moved on, so a crash repeats work and loses none. Filling
an empty replica is `fill.py`'s, encoding nobody's: rows come ready-made.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.bundle import BundleManifest
from relevance.errors import Unavailable
from relevance.generation import StorePaths, read_current
from service.item_codec import EncodedItems
from service.redis_tier.changes import ChangeStream, PositionFile
from service.redis_tier.door import Entry
from service.redis_tier.record import Block
from service.redis_tier.tier import RedisTier
from service.store.delta_log import append_changes
from service.store.flat_ids import decode_id
from service.store.generation_reader import GenerationReader, open_generation
from service.store.item_records import record_batch, record_hashes
from service.store.segment import Changes

POSITION = "REDIS_POSITION"  # the file in the store that holds the replica's place in the stream
ITEMS_A_STEP = 512
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at the stream changed here.

    `refused` records could not be trusted, their items stay as they are. `lag_s` is the age of
    the oldest entry when its delta was on disk, 0 where there was none; two machines' clocks.
    """

    entries: int = 0
    put: int = 0
    removed: int = 0
    refused: int = 0
    lag_s: float = 0.0
    sequence: int = 0


class MissedChanges(Unavailable):
    """The stream no longer holds what came after this replica's position."""


class Replica:
    """Follows one bundle's changes for the store's current generation."""

    def __init__(
        self,
        tier: RedisTier,
        store: StorePaths,
        *,
        open_reader: Callable[[], GenerationReader],
        clock: Clock = time.time,
    ) -> None:
        self._tier = tier
        self._store = store
        self._stream = ChangeStream(tier.door, tier.keys.changes(tier.shape.bundle_id))
        self._positions = PositionFile(store.root / POSITION)
        self._open_reader = open_reader
        self._clock = clock

    def step(self, *, count: int = ITEMS_A_STEP, wait_ms: int = 1000) -> Step:
        """Apply what changed since the last step, waiting for the first change.

        Raises `MissedChanges` where `resync` is due, `Unavailable` where Redis is gone; both
        leave the generation as it was.
        """
        target = read_current(self._store).generation
        position = self._positions.read(stream=self._stream.stream, target=target)
        if position is None or not self._stream.continues_after(position):
            raise MissedChanges(f"{self._stream.stream}: expected to go on after {position}")
        entries = self._stream.after(position, count=count, wait_ms=wait_ms)
        if not entries:
            return Step()
        ids = _distinct_ids(entries)
        put, removed, refused, sequence = self._apply(ids, self._tier.rows(ids))
        self._keep(target, entries[-1].entry_id)
        lag = max(0.0, self._clock() - entries[0].milliseconds / 1000)
        return Step(len(entries), put, removed, refused, lag_s=lag, sequence=sequence)

    def resync(self, *, batch: int = ITEMS_A_STEP) -> Step:
        """Compare every record with the local generation and append what differs.

        What Redis merely lacks stays: an emptied Redis must not empty the replica. Only deletions
        it remembers are followed.
        """
        target = read_current(self._store).generation
        newest = self._stream.newest()  # before reading: what changes meanwhile is read again
        reader = self._open_reader()
        put = removed = refused = sequence = 0
        for ids in self._all_ids(batch):
            block = self._tier.rows(ids)
            differing = self._differing(reader, ids, block)
            kept = [ids[at] for at in differing.tolist()]
            done = self._apply(kept, _taken(block, differing))
            put, removed, refused = put + done[0], removed + done[1], refused + done[2]
            sequence = done[3] or sequence
        self._keep(target, newest)
        return Step(0, put, removed, refused, sequence=sequence)

    def follow_from(self, entry: str) -> None:
        """Start at an entry: the generation holds everything up to there."""
        self._keep(read_current(self._store).generation, entry)

    def _apply(self, ids: Sequence[str], block: Block) -> tuple[int, int, int, int]:
        """Append records as one delta; how many were put, removed, refused; the sequence."""
        items = self._tier.items(ids) if ids else []
        put = [at for at, item in enumerate(items) if item is not None and block.is_found[at]]
        removed = [ids[at] for at in np.flatnonzero(block.is_deleted).tolist()]
        if not put and not removed:
            return 0, 0, len(ids), 0
        changes = Changes(
            records=record_batch([item for at in put if (item := items[at]) is not None]),
            encoded=EncodedItems(block.rows[put], block.token_counts[put], block.truncated[put]),
            text_hashes=block.content_hashes[put],
            removed=removed,
            source_versions=block.source_versions[put].astype(np.int64),
        )
        bundle_id = self._tier.shape.bundle_id
        sequence = append_changes(self._store, changes, bundle_id=bundle_id)
        return len(put), len(removed), len(ids) - len(put) - len(removed), sequence

    def _differing(self, reader: GenerationReader, ids: Sequence[str], block: Block) -> np.ndarray:
        """Which records are not what the generation has; damaged ones are left out."""
        rows = reader.rows_of(ids)
        differs = np.where(rows < 0, block.is_found, block.is_deleted)
        items = self._tier.items(ids)
        known = [at for at in np.flatnonzero((rows >= 0) & block.is_found).tolist() if items[at]]
        if known:
            here = reader.content_hashes(rows[known])
            batch = record_batch([item for at in known if (item := items[at]) is not None])
            there = np.stack([block.content_hashes[known], record_hashes(batch)], axis=1)
            differs[known] = (here != there).any(axis=1)
        return np.flatnonzero(differs)

    def _all_ids(self, batch: int) -> Iterator[list[str]]:
        for keys in self._tier.door.keys(self._tier.keys.all_rows(self._tier.shape.bundle_id)):
            ids = list(dict.fromkeys(self._tier.ids(keys)))
            for start in range(0, len(ids), batch):
                yield ids[start : start + batch]

    def _keep(self, target: str, entry: str) -> None:
        self._positions.keep(stream=self._stream.stream, target=target, entry=entry)


def open_replica(tier: RedisTier, root: Path, bundle: BundleManifest) -> Replica:
    """The replica of a store folder that has a generation of this bundle."""
    store = StorePaths(root)

    def reader() -> GenerationReader:
        return open_generation(store.generation(read_current(store).generation), bundle)

    return Replica(tier, store, open_reader=reader)


def _distinct_ids(entries: Sequence[Entry]) -> list[str]:
    ids = (entry.fields.get("id") for entry in entries)
    return list(dict.fromkeys(decode_id(item_id) for item_id in ids if item_id is not None))


def _taken(block: Block, at: np.ndarray) -> Block:
    return Block(*(getattr(block, name)[at] for name in Block.__dataclass_fields__))
