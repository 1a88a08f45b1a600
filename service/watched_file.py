"""A file that is followed: whether it is another one than at the last look, or worth another try.

Files are replaced, not rewritten: time, inode and size tell. What is read of one is its reader's.
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

TRY_AGAIN = 10.0  # seconds after which what failed is tried again: the fault may have been ours
Stamp = tuple[int, int, int] | None
_NEVER_LOOKED = (0, 0, 0)  # unlike any file's


class WatchedFile:
    """The first look always finds a change; a file that is absent is a file like another."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._stamp: Stamp = _NEVER_LOOKED
        self._try_again_at = math.inf

    def look(self) -> bool:
        """Look; whether the file changed since the last look, or a failure is due again."""
        before, self._stamp = self._stamp, _stamp(self._path)
        return self._stamp != before or self._clock() > self._try_again_at

    def failed(self) -> None:
        """What is there could not be used: it is due again after a while."""
        self._try_again_at = self._clock() + TRY_AGAIN

    def succeeded(self) -> None:
        """What is there is in use: nothing is due until it changes."""
        self._try_again_at = math.inf


def _stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
