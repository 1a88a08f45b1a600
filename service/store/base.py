"""A generation's base, opened: parts that no delta changes, mapped and checked.

Embeddings and per-item bytes, which deltas extend, are put into their regions by
`generation_reader.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import UInt64

from relevance.bundle import BundleManifest
from relevance.errors import BadGeneration
from relevance.generation import (
    CONTENT_HASHES,
    FORMAT_1,
    ID_HASHES,
    ID_ROWS,
    ITEMS,
    MANIFEST,
    PARTS,
    PARTS_1,
    GenerationManifest,
    read_manifest,
)
from service.store.chunks import check_all, read_chunks, sample
from service.store.flat_ids import FlatIds
from service.store.id_index import HashIds, IdIndex, bucket_starts
from service.store.index_files import map_id_index
from service.store.item_records import SCHEMA
from service.store.mapped import map_array
from service.store.verified import check_once


@dataclass(frozen=True, slots=True)
class Base:
    """The immutable part of a generation; `content_hashes` are absent in format 1."""

    folder: Path
    manifest: GenerationManifest
    records: pa.Table
    index: IdIndex
    content_hashes: UInt64[np.ndarray, "items two"] | None


def open_base(folder: Path, bundle: BundleManifest, *, hash_ids: HashIds) -> Base:
    """Check a generation against its manifest and its bundle, and map it.

    The first time on a machine every byte is read, afterwards sizes and some chunks. Raises
    `BadGeneration` naming the file and what differs.
    """
    manifest = read_manifest(folder)
    check_bundle(manifest, bundle, folder)
    check_files(folder, manifest)
    records = _map_records(folder / ITEMS, manifest.items)
    index, hashes = _OPENED[manifest.format](folder, manifest, records, hash_ids)
    return Base(folder, manifest, records, index, hashes)


def check_bundle(manifest: GenerationManifest, bundle: BundleManifest, folder: Path) -> None:
    """Raise `BadGeneration` unless `bundle` made this generation."""
    if manifest.bundle_id != bundle.bundle_id:
        raise BadGeneration(
            f"{folder}: expected a generation made by bundle {bundle.bundle_id}, "
            f"got one made by {manifest.bundle_id}\n"
            "hint: `ellm refresh` with this bundle makes one"
        )
    expected = (bundle.rows, bundle.row_bytes, bundle.codec.bits, bundle.item_text)
    found = (manifest.rows, manifest.dim, manifest.bits, manifest.item_text)
    if found != expected:
        raise BadGeneration(
            f"{folder}: expected rows, bytes, bits, item text {expected}, got {found}"
        )


def check_files(folder: Path, manifest: GenerationManifest) -> None:
    """Check everything once per machine, and sizes and some chunks each time."""
    chunks = read_chunks(folder, manifest)
    names = PARTS_1 if manifest.format == FORMAT_1 else PARTS
    files = [folder / MANIFEST, *(folder / name for name in names)]
    name, root = manifest.generation_id, folder.parent.parent
    if not check_once(name, files, root=root, check=lambda: check_all(chunks)):
        check_all(sample(chunks))


def _open_2(
    folder: Path, manifest: GenerationManifest, records: pa.Table, hash_ids: HashIds
) -> tuple[IdIndex, UInt64[np.ndarray, "items two"]]:
    items = manifest.items
    index = map_id_index(folder, items, hash_ids=hash_ids)
    return index, map_array(folder / CONTENT_HASHES, "<u8", (items, 2))


def _open_1(
    folder: Path, manifest: GenerationManifest, records: pa.Table, hash_ids: HashIds
) -> tuple[IdIndex, None]:
    """What format 1 does not have is made in memory, some 20 bytes an item."""
    hashes = map_array(folder / ID_HASHES, "<u8", (manifest.items,))
    ids = FlatIds.joined(FlatIds.of_column(chunk) for chunk in records["item_id"].chunks)
    rows = map_array(folder / ID_ROWS, "<u4", (manifest.items,))
    return IdIndex(hashes, rows, bucket_starts(hashes), ids, hash_ids), None


def _map_records(path: Path, items: int) -> pa.Table:
    try:
        records = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid as fault:
        raise BadGeneration(f"{path}: not readable as Arrow: {fault}") from fault
    if records.schema != SCHEMA or len(records) != items:
        raise BadGeneration(
            f"{path}: expected {items} items with {', '.join(SCHEMA.names)}, "
            f"got {len(records)} with {', '.join(records.schema.names)}"
        )
    return records


_OPENED = {FORMAT_1: _open_1, "relevance-generation/2": _open_2}
