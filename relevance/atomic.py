"""Crash-safe writing: a reader sees the old file or folder, or the whole new one.

Sequence: write under a temporary name in the same folder, fsync the file, rename, fsync the
folder. Locks and version switching are not here.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relevance.errors import BadInput


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well, it becomes `path`, else it is removed.

    Raises `BadInput` at once where a folder stands at `path`.
    """
    if path.is_dir():
        raise BadInput(f"{path}: expected a file to write, got a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the file from the service's user
        sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def creating_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well it becomes `path` (replacing one there).

    Every file in it is fsynced before the rename. A folder already there is moved aside first and
    removed last: for a moment nothing stands at `path`, never half a folder. What must switch
    without that moment has a new name each time and a pointer file (`generation.py`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    aside = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        for file in sorted(temporary.rglob("*")):
            sync_folder(file) if file.is_dir() else sync_file(file)
        sync_folder(temporary)
        if path.exists():
            os.replace(path, aside)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 so that a crash leaves the old file or the new one."""
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Force a folder's entries (a rename) to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
