"""The one writer of a store: its lock, the bundle's copy, naming a generation and the switch to it.

Everything before the switch leaves the generation that answers requests untouched.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TextIO

from relevance.atomic import creating_folder, sync_file, sync_folder
from relevance.bundle import MANIFEST, PARTS, BundleManifest, read_bundle
from relevance.errors import Unavailable
from relevance.generation import (
    Current,
    GenerationManifest,
    StorePaths,
    read_manifest,
    switch_current,
)
from service.item_codec import ItemCodec
from service.store.base import check_bundle
from service.store.delta_log import append_to, appending, join_segments, segment_files
from service.store.item_records import items_of
from service.store.retention import DERIVED
from service.store.segment import Changes, read_segment


class Carry(Protocol):
    """Makes changes of one generation fit for another."""

    def __call__(self, changes: Changes, *, encoded_by: str) -> Changes:
        """The changes, which bundle `encoded_by` had encoded."""
        ...


def as_they_are(changes: Changes, *, encoded_by: str) -> Changes:
    """Carry between generations of one bundle."""
    return changes


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


def name_generation(store: StorePaths, folder: Path) -> Path:
    """Give a complete folder of this store's disk its generation's name, durably."""
    place = store.generation(read_manifest(folder).generation_id)
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for file in sorted(folder.iterdir()):
        file.chmod(0o644)
        sync_file(file)
    sync_folder(folder)
    folder.rename(place)
    sync_folder(place.parent)
    return place


def publish(
    store: StorePaths,
    generation_id: str,
    *,
    since: tuple[str, int] | None = None,
    carry: Carry = as_they_are,
) -> GenerationManifest:
    """Make a complete generation and its bundle the ones that answer.

    Changes that were appended to the current generation after `since` (its id and a sequence)
    are appended to the new one first, so that none is lost; `carry` encodes them for it.
    """
    folder = store.generation(generation_id)
    manifest = read_manifest(folder)
    check_bundle(manifest, read_bundle(store.bundle(manifest.bundle_id)), folder)
    with appending(store) as current:
        if since is not None and current is not None and current.generation == since[0]:
            late = changes_since(store, *since)
            if late is not None:
                changes = [carry(late, encoded_by=current.bundle)]
                append_to(store, generation_id, changes, bundle_id=manifest.bundle_id)
        switch_current(store, Current(generation=generation_id, bundle=manifest.bundle_id))
    return manifest


def work_folder(store: StorePaths) -> Path:
    """Where unfinished work lies that a next run may go on with; on the store's own disk."""
    return store.root / "work"


def carry_with(codec: ItemCodec, bundle: BundleManifest) -> Carry:
    """Changes for a generation of `bundle`: as they are if it encoded them, else anew."""

    def carry(changes: Changes, *, encoded_by: str) -> Changes:
        if encoded_by == bundle.bundle_id:
            return changes
        items = items_of(changes.records)
        texts = [codec.text(item) for item in items]
        return replace(
            Changes.of(items, codec.encode(texts), texts, changes.removed),
            source_versions=changes.versions,
        )

    return carry


def changes_since(store: StorePaths, generation_id: str, sequence: int) -> Changes | None:
    """What was appended to a generation after `sequence`; None where nothing was."""
    files = [f for f in segment_files(store.deltas(generation_id)) if f.last > sequence]
    if not files:
        return None
    return join_segments([read_segment(file.path) for file in files], after=sequence)


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
    """Hidden folders, and what was made for a generation that then never got its name."""
    derived = [store.root / kind for kind in DERIVED]
    for kind in (store.generations, store.bundles, store.root / "deltas", *derived):
        for folder in kind.glob(".*"):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (folder for kind in derived for folder in kind.glob("[!.]*")):
        if not store.generation(folder.name).is_dir():
            shutil.rmtree(folder, ignore_errors=True)
