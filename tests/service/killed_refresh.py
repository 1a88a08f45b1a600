"""A refresh in a process of its own that ends itself, as a power cut would, at a chosen moment.

Run as `python -m tests.service.killed_refresh BUNDLE ITEMS STORE EXTENT MOMENT`; moments count what
Python's audit hooks see of files: opening, renaming, removing, mapping, locking. Prints how many
there were.
"""

import os
import signal
import sys
from pathlib import Path

from service.refresh import rows
from service.refresh.plan import Extent, Options
from service.refresh.refresh import refresh

WATCHED = ("open", "os.", "shutil.", "mmap.", "fcntl.", "tempfile.")


def main(bundle: Path, items: Path, store: Path, extent: Extent, moment: int) -> None:
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event.startswith(WATCHED):
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    rows.ITEMS_PER_GROUP, rows.SECONDS_BETWEEN_NOTES = 40, 0.0
    sys.addaudithook(count)
    refresh(bundle=bundle, items=items, store=store, options=Options(extent=extent))
    sys.stdout.write(f"{seen}\n")


if __name__ == "__main__":
    _, bundle, items, store, extent, moment = sys.argv
    main(Path(bundle), Path(items), Path(store), Extent(extent), int(moment))
