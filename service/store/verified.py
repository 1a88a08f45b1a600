"""Remembers on each machine which files were read and checked whole, so that it happens once.

The marker holds each file's size, inode and time of last change: a file that was copied, restored
or written to is read again. It lies in the store, or where that is read-only in the folder for
temporary files; losing it costs a reading, nothing else.
"""

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from relevance.atomic import write_text

MACHINE_ID = Path("/etc/machine-id")


def check_once(name: str, files: Sequence[Path], *, root: Path, check: Callable[[], None]) -> bool:
    """Run `check` unless it passed on this machine for these very files; whether it ran.

    `root` is the store, `name` what the files are together. What `check` raises is passed on, and
    nothing is remembered.
    """
    seen = _look_of(files)
    markers = [folder / machine() / name for folder in (root / "verified", _elsewhere(root))]
    if any(_holds(marker, seen) for marker in markers):
        return False
    check()
    if _look_of(files) == seen:
        _remember(markers, seen)
    return True


def forget(name: str, *, root: Path) -> None:
    """Remove every machine's marker of what was removed."""
    for marker in (root / "verified").glob(f"*/{name}"):
        marker.unlink(missing_ok=True)


def machine() -> str:
    """A name for this machine: its id where it has one, and its host name (images are cloned)."""
    identity = ""
    with suppress(OSError):
        identity = MACHINE_ID.read_text()
    return hashlib.sha256(f"{identity}\n{platform.node()}".encode()).hexdigest()[:16]


def _look_of(files: Sequence[Path]) -> str:
    looks = [(file, file.stat()) for file in files]
    return json.dumps([[f.name, s.st_size, s.st_ino, s.st_mtime_ns] for f, s in looks])


def _elsewhere(root: Path) -> Path:
    store = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ellm-verified-{os.getuid()}" / store


def _holds(marker: Path, seen: str) -> bool:
    try:  # a marker of another user could lie
        return marker.stat().st_uid in (os.getuid(), 0) and marker.read_text() == seen
    except OSError:
        return False


def _remember(markers: Sequence[Path], seen: str) -> None:
    for marker in markers:
        with suppress(OSError):
            write_text(marker, seen)
            return
