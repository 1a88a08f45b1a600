"""Stores as the tests of keeping them read and damage them."""

import os
from pathlib import Path

from relevance.bundle import read_bundle
from relevance.generation import StorePaths, read_current, read_manifest
from service.refresh.plan import Extent, Options
from service.store.generation_reader import open_generation

ALL = Options(extent=Extent.ALL)


def read(store: StorePaths, generation_id: str | None = None):
    current = generation_id or read_current(store).generation
    folder = store.generation(current)
    return open_generation(folder, read_bundle(store.bundle(read_manifest(folder).bundle_id)))


def damage(path: Path, *, at: int = 0) -> None:
    """Flip a bit and leave size, inode and time of change as they were, as a bad disk does."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
