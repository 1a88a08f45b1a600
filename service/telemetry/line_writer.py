"""Writes log lines from a thread of its own, so that a reader that stands still cannot hold us up.

Lines wait a moment for company: a thread woken for each would take the interpreter's lock from the
requests once a line. Where more lines wait than fit, the newest are dropped and counted: answering
goes before telling.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 10_000
GATHER_S = 0.05  # a line's longest wait for others

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
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log lines", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written; it ends with a line feed."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, *, patience: float = 2.0) -> None:
        """Write what waits, unless nobody reads it."""
        self._closing.set()
        self._wake.set()
        self._thread.join(patience)

    def _work(self) -> None:
        while not (self._closing.is_set() and not self._waiting):
            self._wake.wait()
            self._closing.wait(GATHER_S)
            self._wake.clear()  # before looking: what comes now wakes again
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                self._write(b"".join(lines))
