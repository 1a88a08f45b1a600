"""A refresh in a process of its own that ends itself, as a power cut would, at a chosen moment.

Moments count what Python's audit hooks see of files: opening, renaming, removing, mapping, locking.
Search's candidate index is made along with it. The processes are forked from one that has imported
all it takes and opened nothing, so that killing hundreds takes minutes.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from service.refresh import rows
from service.refresh.beside import Index
from service.refresh.plan import Extent, Options
from service.refresh.refresh import refresh

WATCHED = ("open", "os.", "shutil.", "mmap.", "fcntl.", "tempfile.")
PATIENCE_S = 600


def moments_of(bundle: Path, items: Path, store: Path, extent: Extent) -> int:
    """How many moments a refresh has that nobody kills."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    assert _ended(bundle, items, store, extent, 0, sending) == 0
    return int(receiving.recv())


def killed(bundle: Path, items: Path, store: Path, extent: Extent, moment: int) -> int:
    """The exit code of a refresh killed at a moment: -9, unless it ended before."""
    return _ended(bundle, items, store, extent, moment, None)


def refresh_until(
    bundle: Path, items: Path, store: Path, extent: Extent, moment: int, tell: Connection | None
) -> None:
    """Refresh in this process, kill it at a moment (0: never), and tell how many there were."""
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event.startswith(WATCHED):
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    rows.ITEMS_PER_GROUP, rows.SECONDS_BETWEEN_NOTES = 40, 0.0
    sys.addaudithook(count)
    options = Options(extent=extent, index=Index.WANTED)
    refresh(bundle=bundle, items=items, store=store, options=options)
    if tell is not None:
        tell.send(seen)


def _ended(*arguments: object) -> int | None:
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([__name__])
    process = forking.Process(target=refresh_until, args=arguments)
    process.start()
    process.join(PATIENCE_S)
    return process.exitcode


if __name__ == "__main__":
    _, bundle, items, store, extent = sys.argv
    refresh_until(Path(bundle), Path(items), Path(store), Extent(extent), 0, None)
