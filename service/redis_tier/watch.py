"""Follows the shop's stream: encodes what changed, writes it to Redis, appends it here, announces.

In that order, and the position is kept last: a crash repeats work and loses none, and a replica
never hears of a record that is not there yet. Opening files and printing are the command's.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from relevance.domain import Item
from relevance.generation import StorePaths, read_current, read_manifest
from service.item_codec import EncodedItems, ItemCodec
from service.redis_tier.catalogue_events import CatalogueEvent, RefusedEntry, read_events
from service.redis_tier.changes import ChangeStream, PositionFile
from service.redis_tier.tier import RedisTier, Write, deletion, writes
from service.store.delta_log import append_changes
from service.store.segment import Changes

POSITION = "WATCH_POSITION"  # the file in the store that holds the place in the shop's stream
EVENTS_A_STEP = 128  # half a second of one core at MiniLM's pace
OVERLAP_S = 60.0  # reading a catalogue takes a while; an event applied twice does no harm
REFUSED_KEPT = 10_000
LAGS_KEPT = 10_000
Clock = Callable[[], float]


class Lags:
    """Seconds from a change's entry in the stream to its delta on disk; the newest are kept."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=LAGS_KEPT)

    def add(self, seconds: Sequence[float]) -> None:
        """Count some changes."""
        self._seconds.extend(max(0.0, s) for s in seconds)

    def __len__(self) -> int:
        return len(self._seconds)

    def quantile(self, share: float) -> float:
        """The lag that `share` of the changes did not exceed; 0 before the first."""
        return float(np.quantile(list(self._seconds), share)) if self._seconds else 0.0


@dataclass(frozen=True, slots=True)
class WatchStep:
    """What one look at the shop's stream changed; `outdated` came after a newer version."""

    entries: int = 0
    put: int = 0
    removed: int = 0
    outdated: int = 0
    refused: int = 0
    sequence: int = 0
    lags: tuple[float, ...] = ()


class Watcher:
    """Brings one bundle's records and the store's current generation up to the shop's stream."""

    def __init__(
        self,
        tier: RedisTier,
        store: StorePaths,
        codec: ItemCodec,
        *,
        clock: Clock = time.time,
    ) -> None:
        self._tier = tier
        self._store = store
        self._codec = codec
        self._clock = clock
        self._events = ChangeStream(tier.door, tier.keys.catalogue)
        self._announced = ChangeStream(tier.door, tier.keys.changes(tier.shape.bundle_id))
        self._positions = PositionFile(store.root / POSITION)
        self.lags = Lags()

    def step(self, *, count: int = EVENTS_A_STEP, wait_ms: int = 1000) -> WatchStep:
        """Apply what the shop changed since the last step, waiting for the first change.

        A generation not watched before starts with what changed since it was begun. Raises
        `Unavailable` where Redis or the disk is gone; nothing is lost by it. A stream that was
        trimmed past the position goes on with what it has: `ellm refresh` closes the gap.
        """
        target = read_current(self._store).generation
        position = self._positions.read(stream=self._events.stream, target=target)
        after = position or self._begun(target)
        entries = self._events.after(after, count=count, wait_ms=wait_ms)
        if not entries:
            return WatchStep()
        events, refused = read_events(entries)
        done = self._apply(events)
        self._tell_refused(refused)
        self._positions.keep(stream=self._events.stream, target=target, entry=entries[-1].entry_id)
        lags = tuple(self._clock() - event.milliseconds / 1000 for event in events)
        self.lags.add(lags)
        put, removed, sequence = done
        return WatchStep(
            entries=len(entries),
            put=put,
            removed=removed,
            outdated=len(events) - put - removed,
            refused=len(refused),
            sequence=sequence,
            lags=lags,
        )

    def _begun(self, generation_id: str) -> str:
        """The entry id of a moment before a generation's catalogue was read."""
        created = read_manifest(self._store.generation(generation_id)).created
        begun = datetime.fromisoformat(created).timestamp() - OVERLAP_S
        return f"{max(0, int(begun * 1000))}-0"

    def _apply(self, events: Sequence[CatalogueEvent]) -> tuple[int, int, int]:
        """Write, append, announce; how many were put and removed, and the new sequence."""
        items = [(event.item, event.version) for event in events if event.item is not None]
        gone = [event for event in events if event.item is None]
        texts = [self._codec.text(item) for item, _ in items]
        encoded = self._codec.encode(texts)
        records = self._records([item for item, _ in items], texts, encoded, [v for _, v in items])
        records += [
            deletion(self._tier.shape, event.item_id, source_version=event.version)
            for event in gone
        ]
        written = self._tier.write(records)
        put = [at for at in range(len(items)) if written[at]]
        removed = [e.item_id for e, done in zip(gone, written[len(items) :], strict=True) if done]
        if not put and not removed:
            return 0, 0, 0
        kept = [items[at] for at in put]
        changes = replace(
            Changes.of(
                [item for item, _ in kept],
                EncodedItems(
                    encoded.embeddings[put], encoded.token_counts[put], encoded.truncated[put]
                ),
                [texts[at] for at in put],
                removed,
            ),
            source_versions=np.array([version for _, version in kept], np.int64),
        )
        bundle_id = self._tier.shape.bundle_id
        sequence = append_changes(self._store, changes, bundle_id=bundle_id)
        self._announced.announce([item.item_id for item, _ in kept] + removed)
        return len(put), len(removed), sequence

    def _records(
        self,
        items: Sequence[Item],
        texts: Sequence[str],
        encoded: EncodedItems,
        versions: Sequence[int],
    ) -> list[Write]:
        return writes(self._tier.shape, items, texts, encoded, versions)

    def _tell_refused(self, refused: Sequence[RefusedEntry]) -> None:
        """Put what could not be read where a person finds it."""
        told = [{"reason": r.reason, "entry": r.entry.entry_id, **r.entry.fields} for r in refused]
        if told:
            stream = f"{self._tier.keys.catalogue}:refused"
            self._tier.door.append(stream, told, keep=REFUSED_KEPT)
