"""Reading checksums in the background while serving: one worker of a service does it for all.

What a pass reads and how damage is set aside is `service.store.scrub`'s; the switch back to the
generation before is followed like any other.
"""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from relevance.errors import RelevanceError
from relevance.generation import StorePaths
from service.run_folder import RunFolder
from service.settings import Settings
from service.store.scrub import Scrubbed, scrub_current

FIRST_AFTER = 600.0  # seconds: a service that is restarted every hour still reads on
ASK_AGAIN = 30.0  # seconds between two tries to become the one that reads

log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The service ends; a pass need not be finished."""


class Scrubbing:
    """A thread that reads on until the service ends; it ends within a chunk's time."""

    def __init__(
        self,
        settings: Settings,
        run: RunFolder,
        *,
        first_after: float = FIRST_AFTER,
        one_pass: Callable[..., Scrubbed] = scrub_current,
    ) -> None:
        self._settings = settings
        self._run = run
        self._first_after = min(first_after, settings.scrub_interval)
        self._one_pass = one_pass
        self._end = Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Read in the background while the block runs; not at all where no interval is set."""
        if not self._settings.scrub_interval:
            yield
            return
        thread = Thread(target=self._work, name="scrub", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def _work(self) -> None:
        with self._run.scrub_lock.open("a") as lock:
            while not _locked(lock.fileno()):  # another worker reads; its lock goes with it
                if self._end.wait(ASK_AGAIN):
                    return
            pause = self._first_after
            while not self._end.wait(pause):
                try:
                    self._pass()
                except _Stopped:
                    return
                pause = self._settings.scrub_interval

    def _pass(self) -> None:
        try:
            self._one_pass(
                StorePaths(self._settings.store),
                bytes_per_second=self._settings.scrub_bytes_per_second,
                wait=self._wait,
            )
            damage = None
        except RelevanceError as fault:  # damaged, and nothing to return to: it goes on answering
            damage = str(fault).splitlines()[0]
            log.error("scrub: %s", damage)
        self._run.tell_damage(damage)

    def _wait(self, seconds: float) -> None:
        if self._end.wait(seconds):
            raise _Stopped


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
