"""Items a request encoded because the store lacked them, written to the store as a delta.

A request only hands them over; a thread appends them together, about once a second. What does not
fit is dropped and counted: the next request that misses it offers it again. How much a service
may encode for requests is bounded here too, as is asking again and again for ids nobody has.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.domain import Item
from relevance.errors import RelevanceError
from relevance.generation import StorePaths
from service.item_codec import EncodedItems
from service.store.delta_log import append_changes
from service.store.item_store import ItemStore
from service.store.segment import Changes

SECONDS_BETWEEN_APPENDS = 1.0
MOST_WAITING = 4096  # 16 MB at 4 KB an item
MOST_ABSENT = 100_000
SECONDS_ABSENT = 30.0


class EncodeBudget:
    """So many encodings a second, saved up for one second at most; safe from several threads."""

    def __init__(
        self, items_per_second: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._clock = items_per_second, clock
        self._left, self._since = items_per_second, clock()
        self._lock = threading.Lock()

    def take(self, items: int) -> int:
        """How many of `items` may be encoded now."""
        with self._lock:
            now = self._clock()
            self._left = min(self._rate, self._left + (now - self._since) * self._rate)
            self._since = now
            granted = min(items, int(self._left))
            self._left -= granted
            return granted


class AbsentIds:
    """Ids that no source had a moment ago: bounded, forgotten after some seconds or a change."""

    def __init__(
        self,
        *,
        most: int = MOST_ABSENT,
        seconds: float = SECONDS_ABSENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._until: OrderedDict[str, float] = OrderedDict()
        self._shown: tuple[str, int] | None = None
        self._lock = threading.Lock()

    def worth_asking(self, item_ids: Sequence[str], *, items: ItemStore) -> list[str]:
        """The ids that are not known to be absent from this snapshot's catalogue."""
        now = self._clock()
        with self._lock:
            self._forget_if_changed(items)
            return [item_id for item_id in item_ids if self._until.get(item_id, now) <= now]

    def note(self, item_ids: Sequence[str], *, items: ItemStore) -> None:
        """Remember that these were asked for and nobody had them."""
        until = self._clock() + self._seconds
        with self._lock:
            self._forget_if_changed(items)
            for item_id in item_ids:
                self._until[item_id] = until
                self._until.move_to_end(item_id)
            while len(self._until) > self._most:
                self._until.popitem(last=False)

    def __len__(self) -> int:
        return len(self._until)

    def _forget_if_changed(self, items: ItemStore) -> None:
        shown = items.generation_id, items.sequence
        if shown != self._shown:
            self._until.clear()
            self._shown = shown


@dataclass(slots=True)
class WriteBackCounts:
    """Items handed over, written, dropped for want of room, found in the store by then, failed."""

    offered: int = 0
    written: int = 0
    dropped: int = 0
    known: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One item with what was encoded of it."""

    item: Item
    text: str
    encoded: EncodedItems


class WriteBack:
    """Collects encoded items and appends them to the current generation.

    `items` gives the snapshot that answers now: what it knows is not written again.
    """

    def __init__(
        self,
        store: StorePaths,
        *,
        bundle_id: str,
        items: Callable[[], ItemStore],
        most: int = MOST_WAITING,
    ) -> None:
        self._store, self._bundle_id, self._items, self._most = store, bundle_id, items, most
        self._waiting: dict[str, _Waiting] = {}
        self._lock = threading.Lock()
        self.counts = WriteBackCounts()

    def offer(self, items: Sequence[Item], texts: Sequence[str], encoded: EncodedItems) -> None:
        """Hand items over with what was encoded of them; returns at once."""
        with self._lock:
            self.counts.offered += len(items)
            for at, (item, text) in enumerate(zip(items, texts, strict=True)):
                if len(self._waiting) >= self._most and item.item_id not in self._waiting:
                    self.counts.dropped += 1
                    continue
                self._waiting[item.item_id] = _Waiting(item, text, _one(encoded, at))

    def append(self) -> int:
        """Append what waits and is still missing; the number written, 0 where that failed."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return 0
        is_missing = self._items().rows_of(list(waiting)) < 0
        wanted = [one for one, missing in zip(waiting.values(), is_missing, strict=True) if missing]
        self.counts.known += len(waiting) - len(wanted)
        if not wanted:
            return 0
        try:
            append_changes(self._store, _changes(wanted), bundle_id=self._bundle_id)
        except RelevanceError:  # another bundle went live, or the disk is full: nothing is lost
            self.counts.failed += len(wanted)
            return 0
        self.counts.written += len(wanted)
        return len(wanted)

    def run(self, stop: threading.Event) -> None:
        """Append about once a second until `stop` is set, then once more."""
        while not stop.wait(SECONDS_BETWEEN_APPENDS):
            self.append()
        self.append()


def _one(encoded: EncodedItems, at: int) -> EncodedItems:
    """One item's rows, copied: a view would keep its whole batch in memory."""
    place = slice(at, at + 1)
    return EncodedItems(
        encoded.embeddings[place].copy(),
        encoded.token_counts[place].copy(),
        encoded.truncated[place].copy(),
    )


def _changes(wanted: Sequence[_Waiting]) -> Changes:
    encoded = EncodedItems(
        np.concatenate([one.encoded.embeddings for one in wanted]),
        np.concatenate([one.encoded.token_counts for one in wanted]),
        np.concatenate([one.encoded.truncated for one in wanted]),
    )
    return Changes.of([one.item for one in wanted], encoded, [one.text for one in wanted])
