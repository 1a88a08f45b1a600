"""Whoever waits for a teacher's reasons: hears the text as it is written, and may go away.

One of them belongs to one request; its methods may be called from any thread.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any


class Gone(Exception):
    """Nobody waits for the answer any more."""


class Listener:
    """Hears nothing unless told where the text goes."""

    def __init__(self, hear: Callable[[str], None] | None = None) -> None:
        self._hear = hear
        self._lock = Lock()
        self._call: Future[Any] | None = None
        self._is_gone = False

    def hear(self, text: str) -> None:
        """The next piece of a teacher's text."""
        if self._hear is not None and not self._is_gone:
            self._hear(text)

    def leave(self) -> None:
        """Go away: the call under way is cancelled, and none is begun after it."""
        with self._lock:
            self._is_gone, call = True, self._call
        if call is not None:
            call.cancel()

    def wait(self, call: "Future[Any]", timeout: float) -> Any:
        """The outcome of a call, which is cancelled when time is up.

        Raises `TimeoutError` then, and `Gone` when the listener left.
        """
        with self._lock:
            self._call = call
        if self._is_gone:
            call.cancel()
            raise Gone
        try:
            return call.result(timeout)
        except BaseException as fault:
            call.cancel()
            if self._is_gone:
                raise Gone from fault
            raise
        finally:
            with self._lock:
                self._call = None
