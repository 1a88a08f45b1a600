"""The one writer of a store: its lock, the bundle's copy, and the switch to a new generation.

Everything before `switch_current` leaves the generation that answers requests untouched.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from relevance.atomic import creating_folder
from relevance.bundle import MANIFEST, PARTS, BundleManifest, read_bundle
from relevance.errors import Unavailable
from relevance.generation import (
    Current,
    GenerationManifest,
    StorePaths,
    read_manifest,
    switch_current,
)
from service.store.generation_reader import check_bundle


@contextmanager
def writing(store: StorePaths) -> Iterator[None]:
    """Hold the store's lock; raises `Unavailable` for a second writer or a disk that fails.

    The lock goes with the process, so a killed writer leaves none; its unfinished folders are
    removed by the next one.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        with store.lock.open("a+") as lock:
            _lock(lock)
            _remove_unfinished(store)
            yield
    except OSError as fault:  # disk full, no permission: the store's trouble, not a bug
        raise Unavailable(f"{store.root}: cannot be written: {fault}") from fault


def place_bundle(store: StorePaths, folder: Path) -> tuple[Path, BundleManifest]:
    """Copy a verified bundle into the store unless it is there; returns its place and manifest."""
    manifest = read_bundle(folder)
    place = store.bundle(manifest.bundle_id)
    if not place.is_dir():
        with creating_folder(place) as copy:
            for name in (*PARTS, MANIFEST):
                shutil.copyfile(folder / name, copy / name)
            read_bundle(copy)
    return place, read_bundle(place)


def publish(store: StorePaths, generation_id: str) -> GenerationManifest:
    """Make a complete generation and its bundle the ones that answer."""
    folder = store.generation(generation_id)
    manifest = read_manifest(folder)
    check_bundle(manifest, read_bundle(store.bundle(manifest.bundle_id)), folder)
    switch_current(store, Current(generation=generation_id, bundle=manifest.bundle_id))
    return manifest


def _lock(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        raise Unavailable(
            f"{lock.name}: another writer holds this store (process {holder})\n"
            "hint: wait until its refresh has ended"
        ) from fault
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


def _remove_unfinished(store: StorePaths) -> None:
    for kind in (store.generation("x").parent, store.bundle("x").parent):
        for folder in kind.glob(".*"):
            shutil.rmtree(folder, ignore_errors=True)
