"""Files made from a generation and kept beside it: made whole, checked when opened, replaceable.

    <store>/<kind>/<generation id>/
        manifest.json       which generation, bundle and settings, and the seals of the other files

They answer nothing by themselves; a generation that is removed takes them along.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from relevance.atomic import creating_folder, write_text
from relevance.bundle import FileSeal, seal
from relevance.errors import BadGeneration
from relevance.generation import GenerationManifest, StorePaths
from service.store.verified import check_once

FORMAT: Literal["relevance-derived/1"] = "relevance-derived/1"
MANIFEST = "manifest.json"


class DerivedManifest(BaseModel):
    """What was made, of what, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-derived/1"] = FORMAT
    kind: str
    generation_id: str
    bundle_id: str
    items: int
    settings: dict[str, str | int]
    files: dict[str, FileSeal]


def derived_folder(store: StorePaths, kind: str, generation_id: str) -> Path:
    """Where what is made of a generation lies."""
    return store.root / kind / generation_id


def is_derived(store: StorePaths, kind: str, generation_id: str) -> bool:
    """Whether something of this kind was made of a generation; its files are not looked at."""
    return (derived_folder(store, kind, generation_id) / MANIFEST).is_file()


def derived_settings(
    store: StorePaths, kind: str, generation_id: str
) -> dict[str, str | int] | None:
    """How something was made; None where it was not, and nothing where its manifest is broken."""
    path = derived_folder(store, kind, generation_id) / MANIFEST
    try:
        return DerivedManifest.model_validate_json(path.read_bytes()).settings
    except FileNotFoundError:
        return None
    except ValidationError:
        return {}


def write_derived(
    folder: Path,
    kind: str,
    generation: GenerationManifest,
    write: Callable[[Path], dict[str, str | int]],
) -> DerivedManifest:
    """Have `write` fill a new folder, seal it and put it in place; `write` returns its settings."""
    with creating_folder(folder) as unfinished:
        settings = write(unfinished)
        files = {path.name: seal(path) for path in sorted(unfinished.iterdir())}
        manifest = DerivedManifest(
            kind=kind,
            generation_id=generation.generation_id,
            bundle_id=generation.bundle_id,
            items=generation.items,
            settings=settings,
            files=files,
        )
        write_text(unfinished / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def read_derived(
    folder: Path, kind: str, generation: GenerationManifest, files: Sequence[str], *, root: Path
) -> DerivedManifest:
    """Check what was made of a generation; raises `BadGeneration` naming what differs.

    The seals are checked once on each machine, the rest every time.
    """
    path = folder / MANIFEST
    try:
        manifest = DerivedManifest.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise BadGeneration(f"{path}: expected a manifest: {fault.strerror}") from fault
    except ValidationError as fault:
        raise BadGeneration(f"{path}: malformed: {fault.errors()[0]['msg']}") from fault
    expected = (kind, generation.generation_id, generation.bundle_id, generation.items)
    found = (manifest.kind, manifest.generation_id, manifest.bundle_id, manifest.items)
    if found != expected:
        raise BadGeneration(f"{folder}: expected one of {expected}, got one of {found}")
    for name in files:
        if name not in manifest.files:
            raise BadGeneration(f"{folder / name}: the manifest does not mention this file")
        if not (folder / name).is_file():
            raise BadGeneration(f"{folder / name}: the manifest names this file, but it is absent")
    paths = [folder / name for name in files]
    check_once(
        f"{kind}-{manifest.generation_id}",
        [path, *paths],
        root=root,
        check=lambda: _check_seals(paths, manifest),
    )
    return manifest


def _check_seals(paths: Sequence[Path], manifest: DerivedManifest) -> None:
    for path in paths:
        if seal(path) != manifest.files[path.name]:
            raise BadGeneration(f"{path}: is not what the manifest seals")
