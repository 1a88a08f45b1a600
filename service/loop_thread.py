"""An event loop in a thread of its own, for clients that live on one loop and are asked from many.

What runs there is the callers' business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")
CLOSING_S = 2.0  # what still runs gets so long to end


class LoopThread:
    """Starts with the first call; `close` cancels what still runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, call: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Begin a call; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(call, self._running())

    def close(self, last: Callable[[], Awaitable[None]] | None = None) -> None:
        """Cancel everything, wait for it a little, do the `last` thing, and end the thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_ended(last), loop).result(CLOSING_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSING_S)
        if not thread.is_alive():
            loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon: a call that hangs must not hold up the end of the process.
                self._thread = Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
            return self._loop


async def _ended(last: Callable[[], Awaitable[None]] | None) -> None:
    """Cancel all that runs on this loop beside this."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=CLOSING_S / 2)
    if last is not None:
        await last()
    await asyncio.get_running_loop().shutdown_asyncgens()
