"""The second bundle of the query view: another store, opened only to read, when first asked for.

It follows its own CURRENT with a look a second at most. Nothing here answers shoppers.
"""

import time
from threading import Lock

from relevance.errors import RelevanceError
from service.console.wire import ComparedBundle
from service.serving import Pair, open_pair
from service.settings import Settings
from service.snapshot import Snapshot

LOOK_AFTER = 1.0  # seconds between two looks at the store


class Compared:
    """The bundle whose scores stand beside those of the one that serves; safe between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._pair: Pair | None = None
        self._looked = -LOOK_AFTER

    def snapshot(self) -> Snapshot:
        """What the store's CURRENT names; raises a `RelevanceError` where that cannot be opened."""
        with self._lock:
            if self._pair is None or time.monotonic() - self._looked >= LOOK_AFTER:
                self._pair = open_pair(self._settings, previous=self._pair)
                self._looked = time.monotonic()
            return self._pair.snapshot


def open_compared(settings: Settings) -> Compared | None:
    """The second bundle the settings name, not opened yet."""
    if settings.console_compare is None:
        return None
    return Compared(settings.model_copy(update={"store": settings.console_compare}))


def described(snapshot: Snapshot) -> ComparedBundle:
    """A second bundle as a page shows it."""
    bundle = snapshot.bundle
    return ComparedBundle(bundle.bundle_id, snapshot.items.generation_id, bundle.threshold)


def state_of(compared: Compared | None) -> tuple[ComparedBundle | None, str | None]:
    """The second bundle, or why one that was named cannot be shown."""
    if compared is None:
        return None, None
    try:
        return described(compared.snapshot()), None
    except RelevanceError as fault:
        return None, str(fault)
