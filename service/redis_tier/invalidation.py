"""Keeps a cache over Redis fresh: a thread reads the stream and forgets what changed.

Where entries may have been missed everything is forgotten: slower for a moment, never stale.
"""

import logging
import threading
import time
import weakref

from relevance.errors import Unavailable
from service.redis_tier.cached_items import CachedItems
from service.redis_tier.changes import ChangeStream
from service.store.flat_ids import decode_id

ENTRIES = 1000
WAIT_MS = 500
TRY_AGAIN_S = 0.5

log = logging.getLogger(__name__)


def start_following(items: CachedItems, stream: ChangeStream) -> threading.Thread:
    """Follow the stream until `items` is gone; the cache must be empty or fresh when called."""
    follower = Follower(stream, position=_newest(stream))
    thread = threading.Thread(
        target=_follow, args=(weakref.ref(items), follower), name="redis-changes", daemon=True
    )
    thread.start()
    return thread


class Follower:
    """One reader's place in the stream; an unknown place means that entries may be missed."""

    def __init__(self, stream: ChangeStream, *, position: str | None) -> None:
        self._stream = stream
        self._position = position

    def step(self, items: CachedItems, *, wait_ms: int = WAIT_MS) -> int:
        """Forget what changed since the last step; raises `Unavailable` without Redis."""
        if self._position is None or not self._stream.continues_after(self._position):
            self._position = self._stream.newest()
            items.forget_all()
        entries = self._stream.after(self._position, count=ENTRIES, wait_ms=wait_ms)
        if entries:
            ids = (entry.fields.get("id") for entry in entries)
            items.invalidate([decode_id(item_id) for item_id in ids if item_id is not None])
            self._position = entries[-1].entry_id
        return len(entries)


def _follow(reference: "weakref.ref[CachedItems]", follower: Follower) -> None:
    is_told = False
    while (items := reference()) is not None:
        try:
            follower.step(items)
            is_told = False
        except Unavailable as fault:
            if not is_told:
                log.warning("changes cannot be followed: %s", fault)
            is_told = True
            items.forget_all()  # an item may change unseen
            time.sleep(TRY_AGAIN_S)
        del items


def _newest(stream: ChangeStream) -> str | None:
    try:
        return stream.newest()
    except Unavailable:
        return None
