"""A generation on disk as an `ItemStore`: verified once when opened, then memory-mapped.

Which generation to open stands in the store's `CURRENT`; see `relevance.generation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int64, UInt8

from relevance.bundle import BundleManifest, seal
from relevance.domain import Item
from relevance.errors import BadGeneration
from relevance.generation import (
    EMBEDDINGS,
    ID_HASHES,
    ID_ROWS,
    ITEMS,
    PARTS,
    TOKEN_COUNTS,
    TRUNCATED,
    GenerationManifest,
    read_manifest,
)
from service.store.id_index import HashIds, IdIndex, hash_ids
from service.store.item_records import SCHEMA, item_at


@dataclass(frozen=True, slots=True)
class GenerationReader:
    """One generation, mapped; the mapping lives as long as this value."""

    manifest: GenerationManifest
    arena: UInt8[np.ndarray, "items rows dim"]
    token_counts: UInt8[np.ndarray, " items"]
    truncated: UInt8[np.ndarray, " items"]
    records: pa.Table
    ids: IdIndex
    sequence: int = 0  # generations have no deltas yet

    @property
    def generation_id(self) -> str:
        """The generation the snapshot shows."""
        return self.manifest.generation_id

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The arena row of each id, -1 where the generation does not know it."""
        return self.ids.rows_of(item_ids)

    def item(self, row: int) -> Item:
        """The item at a row, as the catalogue had it."""
        return item_at(self.records, row)


def open_generation(
    folder: Path, bundle: BundleManifest, *, hash_ids: HashIds = hash_ids
) -> GenerationReader:
    """Verify a generation against its manifest and its bundle, then map it.

    Raises `BadGeneration` naming the file and what differs.
    """
    manifest = read_manifest(folder)
    check_bundle(manifest, bundle, folder)
    for name in PARTS:
        _check_seal(folder, name, manifest)
    records = _map_records(folder / ITEMS, manifest.items)
    hashes = _map(folder / ID_HASHES, np.uint64, (manifest.items,))
    rows = _map(folder / ID_ROWS, np.uint32, (manifest.items,))
    # One copy of the id column (some 15 bytes an item): `take` on many chunks is ten times slower.
    item_ids = pa.concat_arrays(records["item_id"].chunks)
    return GenerationReader(
        manifest=manifest,
        arena=_map(folder / EMBEDDINGS, np.uint8, (manifest.items, manifest.rows, manifest.dim)),
        token_counts=_map(folder / TOKEN_COUNTS, np.uint8, (manifest.items,)),
        truncated=_map(folder / TRUNCATED, np.uint8, (manifest.items,)),
        records=records,
        ids=IdIndex(hashes, rows, item_ids, hash_ids=hash_ids),
    )


def check_bundle(manifest: GenerationManifest, bundle: BundleManifest, folder: Path) -> None:
    """Raise `BadGeneration` unless `bundle` made this generation."""
    if manifest.bundle_id != bundle.bundle_id:
        raise BadGeneration(
            f"{folder}: expected a generation made by bundle {bundle.bundle_id}, "
            f"got one made by {manifest.bundle_id}\n"
            "hint: `ellm refresh` with this bundle makes one"
        )
    expected = (bundle.max_item_tokens, bundle.dim, bundle.item_text)
    found = (manifest.rows, manifest.dim, manifest.item_text)
    if found != expected:
        raise BadGeneration(f"{folder}: expected rows, dim, item text {expected}, got {found}")


def _check_seal(folder: Path, name: str, manifest: GenerationManifest) -> None:
    path, expected = folder / name, manifest.files.get(name)
    if expected is None:
        raise BadGeneration(f"{path}: the manifest does not mention this file")
    if not path.is_file():
        raise BadGeneration(f"{path}: the manifest names this file, but it is absent")
    if path.stat().st_size != expected.bytes:
        size = path.stat().st_size
        raise BadGeneration(f"{path}: expected {expected.bytes} bytes, got {size}")
    found = seal(path).sha256
    if found != expected.sha256:
        raise BadGeneration(f"{path}: expected SHA-256 {expected.sha256[:12]}…, got {found[:12]}…")


def _map(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    """A read-only view of a whole file."""
    expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if path.stat().st_size != expected:
        size = path.stat().st_size
        raise BadGeneration(f"{path}: expected {expected} bytes for {shape}, got {size}")
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape))


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
