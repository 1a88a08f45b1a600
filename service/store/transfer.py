"""A generation with its bundle and deltas as one tar archive, to and from other machines.

Nothing is trusted on the way in: only expected names are unpacked, all checksums are read, and the
generation is not current until asked for.
"""

import re
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from relevance.atomic import replacing_file
from relevance.errors import BadGeneration, BadInput
from relevance.generation import StorePaths, read_manifest
from service.store.base import check_bundle, check_files
from service.store.delta_log import appending, segment_files
from service.store.publish import name_generation, place_bundle, work_folder
from service.store.segment import read_segment

_EXPECTED = re.compile(r"^(bundle|generation|deltas)/[A-Za-z0-9._-]+$")


def export_generation(store: StorePaths, generation_id: str, out: Path) -> int:
    """Write the archive crash-safe; its size in bytes. Appends wait until it is written."""
    manifest = read_manifest(store.generation(generation_id))
    folders = {
        "bundle": store.bundle(manifest.bundle_id),
        "generation": store.generation(generation_id),
        "deltas": store.deltas(generation_id),
    }
    with replacing_file(out) as temporary, tarfile.open(temporary, "w") as archive:
        with appending(store):
            deltas = [file.path for file in segment_files(folders["deltas"])]
            for path in deltas:
                archive.add(path, f"deltas/{path.name}")
        for kind in ("bundle", "generation"):
            for path in sorted(folders[kind].iterdir()):
                archive.add(path, f"{kind}/{path.name}")
    return out.stat().st_size


def import_generation(store: StorePaths, archive: Path) -> str:
    """Unpack, check and name a generation; its id. Call it while `writing` is held.

    Raises `BadInput` for what is no such archive, `BadGeneration` or `BadBundle` for damage.
    """
    if not archive.is_file():
        raise BadInput(f"{archive}: expected an archive of `ellm store export`, found none")
    folder = work_folder(store) / "import"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _unpack(archive, folder)
        return _take_in(store, folder, archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_in(store: StorePaths, folder: Path, archive: Path) -> str:
    place, bundle = place_bundle(store, folder / "bundle")
    manifest = read_manifest(folder / "generation")
    if store.generation(manifest.generation_id).exists():
        raise BadInput(f"{store.root}: has a generation {manifest.generation_id} already")
    check_bundle(manifest, bundle, archive)
    generation = folder.parent / "import-generation"
    shutil.rmtree(generation, ignore_errors=True)
    (folder / "generation").rename(generation)
    check_files(generation, manifest)
    for file in segment_files(folder / "deltas"):
        header = read_segment(file.path).header
        if (header.generation_id, header.bundle_id) != (manifest.generation_id, bundle.bundle_id):
            raise BadGeneration(f"{archive}: {file.path.name} belongs to {header.generation_id}")
    deltas = store.deltas(manifest.generation_id)
    if (folder / "deltas").exists():
        deltas.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(deltas, ignore_errors=True)
        (folder / "deltas").rename(deltas)
    name_generation(store, generation)
    return manifest.generation_id


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:*") as members:
            for member in members:
                source = members.extractfile(member)
                if source is None or not _EXPECTED.match(member.name):
                    raise BadInput(f"{archive}: expected no `{member.name}` in there")
                _keep(source, folder / PurePosixPath(member.name))  # type: ignore[arg-type]
    except (tarfile.TarError, EOFError) as fault:
        reason = str(fault).partition("\n")[0].rstrip(":")  # then a line for each compression
        raise BadInput(
            f"{archive}: expected an archive of `ellm store export`: {reason}"
        ) from fault
    if not (folder / "generation").is_dir() or not (folder / "bundle").is_dir():
        raise BadInput(f"{archive}: expected a bundle and a generation in there")


def _keep(source: BinaryIO, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
