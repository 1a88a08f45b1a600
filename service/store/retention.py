"""Which generations a store holds, going back to an earlier one, and removing what is too old.

Damage is found by `scrub.py`; publishing new generations is `publish.py`'s.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relevance.atomic import sync_folder
from relevance.bundle import read_bundle
from relevance.errors import BadGeneration, BadInput, RelevanceError
from relevance.generation import (
    MANIFEST,
    Current,
    GenerationManifest,
    StorePaths,
    read_current,
    read_history,
    read_manifest,
    switch_current,
)
from service.store.base import check_bundle, check_files
from service.store.delta_log import appending, newest_sequence, segment_files
from service.store.verified import forget

KINDS = ("generations", "deltas")
DERIVED = ("faiss", "candidates")  # made from a generation by others, under its id


@dataclass(frozen=True, slots=True)
class Held:
    """A generation in a store; `sequence` counts its deltas' changes, `bytes` includes them."""

    manifest: GenerationManifest
    is_current: bool
    sequence: int
    bytes: int


def held_generations(store: StorePaths) -> list[Held]:
    """Every complete generation, the newest first."""
    current = read_current(store).generation if store.current.exists() else None
    folders = [path.parent for path in store.generations.glob(f"[!.]*/{MANIFEST}")]
    held = [
        Held(
            manifest=read_manifest(folder),
            is_current=folder.name == current,
            sequence=newest_sequence(store, folder.name),
            bytes=_size(folder) + _size(store.deltas(folder.name)),
        )
        for folder in folders
    ]
    return sorted(held, key=lambda one: one.manifest.generation_id, reverse=True)


def roll_back(store: StorePaths, *, to: str | None = None) -> Current:
    """Make another generation current: `to`, else the newest sound one before the current.

    One that was never current, as when a rollout was refused, is only returned to by name.

    Raises `BadGeneration` where there is no sound one. A refresh at work goes on: it publishes
    what it builds, without the changes of the generation left here.
    """
    now = read_current(store)
    if to is not None and not store.generation(to).is_dir():
        raise BadInput(f"{store.root}: expected a generation it holds, got `{to}`")
    ids = [one.manifest.generation_id for one in held_generations(store)]
    published = {switch.generation for switch in read_history(store)}
    before = [name for name in ids if name < now.generation and name in published]
    earlier = before if to is None else [to]
    refusals = []
    for name in earlier:
        try:
            target = _checked(store, name)
        except RelevanceError as fault:
            refusals.append(str(fault))
            continue
        with appending(store):
            if (store.generation(name) / MANIFEST).is_file():  # else it was removed meanwhile
                switch_current(store, target)
                return target
    reasons = "".join(f"\n  {refusal}" for refusal in refusals)
    raise BadGeneration(
        f"{store.root}: expected a sound generation before {now.generation}, found none{reasons}"
    )


def quarantine(store: StorePaths, generation_id: str) -> Current:
    """Set a damaged generation aside and return to the one before; what answers from now on.

    The switch comes first, so readers always find a generation; where none is left, the damaged
    one stays where it is and `BadGeneration` is raised. Several may ask for it at once.
    """
    now = read_current(store)
    if now.generation == generation_id:
        now = roll_back(store)
    place = store.quarantine(generation_id)
    with appending(store):
        if store.generation(generation_id).is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                shutil.rmtree(place)
            store.generation(generation_id).rename(place)
            if store.deltas(generation_id).is_dir():
                store.deltas(generation_id).rename(place / "deltas")
            sync_folder(place.parent)
            sync_folder(store.generations)
    return now


def collect_garbage(store: StorePaths, *, keep: int) -> list[str]:
    """Remove all but the current generation and the `keep` newest others; the removed ones' ids.

    Bundles that no generation left was made by go too. Call it while `writing` is held. Readers
    that have a removed one mapped keep it until they close it.
    """
    if keep < 0:
        raise BadInput(f"expected to keep 0 generations or more, got {keep}")
    with appending(store):
        others = [one for one in held_generations(store) if not one.is_current]
        doomed = [one.manifest.generation_id for one in others[keep:]]
        folders = [store.root / kind / name for kind in (*KINDS, *DERIVED) for name in doomed]
        aside = [_set_aside(folder) for folder in folders if folder.is_dir()]
        for name in doomed:
            for checked in (name, *(f"{kind}-{name}" for kind in DERIVED)):
                forget(checked, root=store.root)
        left = {one.manifest.bundle_id for one in held_generations(store)}
        unused = [folder for folder in store.bundles.glob("[!.]*") if folder.name not in left]
        aside += [_set_aside(folder) for folder in unused]
    for folder in aside:
        shutil.rmtree(folder)
    return doomed


def _checked(store: StorePaths, generation_id: str) -> Current:
    folder = store.generation(generation_id)
    manifest = read_manifest(folder)
    check_bundle(manifest, read_bundle(store.bundle(manifest.bundle_id)), folder)
    check_files(folder, manifest)
    segment_files(store.deltas(generation_id))
    return Current(generation=generation_id, bundle=manifest.bundle_id)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*") if file.is_file())


def _set_aside(folder: Path) -> Path:
    """Hide a folder at once; a crash before it is removed leaves it to the next writer."""
    hidden = folder.with_name(f".{folder.name}.removed")
    folder.rename(hidden)
    sync_folder(folder.parent)
    return hidden


def generation_or_current(store: StorePaths, generation_id: str | None) -> str:
    """The id asked for, or the current one's; raises `BadInput` where the store lacks it."""
    if generation_id is None:
        return read_current(store).generation
    if not (store.generation(generation_id) / MANIFEST).is_file():
        held: Sequence[str] = [one.manifest.generation_id for one in held_generations(store)]
        raise BadInput(f"expected one of {', '.join(held) or 'none'}, got `{generation_id}`")
    return generation_id
