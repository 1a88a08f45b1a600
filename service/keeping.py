"""Keeping what requests had to encode: the write-back of the bundle that answers, and its thread.

Embeddings of two bundles never meet. A request reads its snapshot and its write-back one after the
other, so when the bundle changes there is none for a while: longer than any request could lie
between the two. What a write-back does is `service.store.write_back`'s.
"""

import logging
import threading
import time
from collections.abc import Callable

from relevance.generation import StorePaths
from service.missing_texts import MissingTexts
from service.settings import Settings
from service.store.item_store import ItemStore
from service.store.write_back import AbsentIds, EncodeBudget, WriteBack

APART = 60.0  # seconds between the last write-back of one bundle and the first of the next

log = logging.getLogger(__name__)


class Keeping:
    """At most one write-back at a time; none where the shop did not ask for it."""

    def __init__(
        self,
        settings: Settings,
        items: Callable[[], ItemStore],
        *,
        apart: float = APART,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._items = items
        self._apart = apart
        self._clock = clock
        self._bundle_id = ""
        self._not_before = -float("inf")
        self._end = threading.Event()
        self._writing: WriteBack | None = None

    def write_back(self, bundle_id: str) -> WriteBack | None:
        """The write-back of the bundle that answers now; None while it has to wait."""
        if not self._settings.write_back:
            return None
        if bundle_id != self._bundle_id:
            self._not_before = self._clock() + self._apart if self._bundle_id else -float("inf")
            self._bundle_id = bundle_id
            self.close()
        if self._writing is None and self._clock() >= self._not_before:
            self._writing = self._begun(bundle_id)
        return self._writing

    def close(self) -> None:
        """Have the thread write what waits, and end."""
        self._end.set()
        self._writing = None

    def _begun(self, bundle_id: str) -> WriteBack:
        store = StorePaths(self._settings.store)
        writing, self._end = (
            WriteBack(store, bundle_id=bundle_id, items=self._items),
            threading.Event(),
        )
        threading.Thread(target=_run, args=(writing, self._end), name="write-back").start()
        return writing


def missing_texts(settings: Settings) -> MissingTexts:
    """What bounds the encoding of stored texts; nothing is kept yet."""
    rate = settings.encode_per_second
    return MissingTexts(budget=EncodeBudget(rate) if rate else None, absent=AbsentIds())


def _run(writing: WriteBack, end: threading.Event) -> None:
    try:
        writing.run(end)
    except Exception:  # nothing is lost: the next request that misses an item encodes it again
        log.exception("the write-back stopped")
