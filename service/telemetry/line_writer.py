"""Writes log lines from a thread of its own, so that a reader that stands still cannot hold us up.

Where more lines wait than fit, the newest are dropped and counted: answering goes before telling.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 10_000

Write = Callable[[bytes], object]


def to_stderr(lines: bytes) -> None:
    """Write everything, however often the system takes only a part."""
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(sys.stderr.fileno(), rest) :]


class LineWriter:
    """A bounded queue of lines and the thread that writes them, many at a time."""

    def __init__(self, write: Write = to_stderr, *, most_waiting: int = MOST_WAITING) -> None:
        self.dropped = 0
        self._write = write
        self._most = most_waiting
        self._waiting: deque[bytes] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="log lines", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written; it ends with a line feed."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(line)
        self._wake.set()

    def close(self, *, patience: float = 2.0) -> None:
        """Write what waits, unless nobody reads it."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(patience)

    def _work(self) -> None:
        while not (self._is_closing and not self._waiting):
            self._wake.wait()
            self._wake.clear()
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                self._write(b"".join(lines))
