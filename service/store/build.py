"""Writing a generation's files, batch after batch; memory stays at one batch.

Records and rows are two writers: a refresh knows all items before it encodes the first. Naming
the finished folder and switching to it is `publish.py`'s.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import UInt64

from relevance.atomic import write_text
from relevance.bundle import BundleManifest, seal
from relevance.domain import Item
from relevance.generation import (
    CHUNKS,
    CONTENT_HASHES,
    EMBEDDINGS,
    ID_OFFSETS,
    IDS,
    ITEMS,
    MANIFEST,
    PARTS,
    TOKEN_COUNTS,
    TRUNCATED,
    GenerationManifest,
)
from service.item_codec import EncodedItems
from service.store.chunks import HashedFile, hash_file, write_chunks
from service.store.flat_ids import FlatIds
from service.store.id_index import HashIds, hash_ids
from service.store.index_files import write_id_index
from service.store.item_records import SCHEMA, record_batch, record_hashes, text_hash

ITEMS_PER_RECORD_BATCH = 16_384  # few batches keep reading a row quick; each is some 10 MB
ROW_PARTS = (EMBEDDINGS, TOKEN_COUNTS, TRUNCATED, CONTENT_HASHES)


class IdsWriter:
    """Appends items' ids."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._ids = files.enter_context(HashedFile(folder / IDS))
        self._offsets = files.enter_context(HashedFile(folder / ID_OFFSETS))
        self._offsets.write(np.zeros(1, "<u8"))

    def append(self, ids: FlatIds) -> None:
        """Add ids in the order they are to have."""
        self._offsets.write((ids.offsets[1:] + np.uint64(self._ids.size)).astype("<u8"))
        self._ids.write(np.ascontiguousarray(ids.content))


class RecordsWriter:
    """Appends items' records and ids."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._ids = IdsWriter(folder, files)
        items = files.enter_context(HashedFile(folder / ITEMS))
        self._records = files.enter_context(pa.ipc.new_file(items, SCHEMA))
        self._waiting: list[pa.RecordBatch] = []
        self.items = 0

    def append(self, batch: pa.RecordBatch) -> None:
        """Add records in the order they are to have."""
        self._ids.append(FlatIds.of_column(batch["item_id"]))
        self._waiting.append(batch)
        self.items += len(batch)
        if sum(map(len, self._waiting)) >= ITEMS_PER_RECORD_BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the records that wait for a full batch."""
        for batch in pa.Table.from_batches(self._waiting, SCHEMA).combine_chunks().to_batches():
            self._records.write_batch(batch)
        self._waiting = []


class RowsWriter:
    """Appends items' embeddings, counts and content hashes; can go on where another stopped.

    `expected` items are given their space on the disk at once, so that a disk too small is found
    now and not hours later; `kept` are there already.
    """

    def __init__(
        self, folder: Path, files: ExitStack, *, item_bytes: int, expected: int = 0, kept: int = 0
    ) -> None:
        widths = dict(zip(ROW_PARTS, (item_bytes, 1, 1, 16), strict=True))
        self._files = {
            name: files.enter_context(HashedFile(folder / name, kept=kept * width))
            for name, width in widths.items()
        }
        for name, width in widths.items():
            if expected:
                os.posix_fallocate(self._files[name].fileno(), 0, expected * width)
        self.items = kept

    def append(self, encoded: EncodedItems, hashes: UInt64[np.ndarray, "items two"]) -> None:
        """Add items in the order they are to have."""
        self._files[EMBEDDINGS].write(np.ascontiguousarray(encoded.embeddings))
        self._files[TOKEN_COUNTS].write(np.ascontiguousarray(encoded.token_counts))
        self._files[TRUNCATED].write(encoded.truncated.astype(np.uint8))
        self._files[CONTENT_HASHES].write(np.ascontiguousarray(hashes.astype("<u8")))
        self.items += len(encoded)

    def sync(self) -> None:
        """Force all that was appended to the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())

    @property
    def digests(self) -> dict[str, list[int]]:
        """The parts' digests so far."""
        return {name: file.digests for name, file in self._files.items()}


class GenerationWriter:
    """Appends items and their rows to the files of one unfinished generation."""

    def __init__(self, records: RecordsWriter, rows: RowsWriter) -> None:
        self._records, self._rows = records, rows

    def append(
        self, items: Sequence[Item], encoded: EncodedItems, texts: Sequence[str] | None = None
    ) -> None:
        """Add items in the order they are to have; `texts` is what was encoded of them."""
        hashes = np.zeros(len(items), np.uint64)
        if texts is not None:
            hashes = np.fromiter(map(text_hash, texts), np.uint64, len(items))
        self.append_records(record_batch(items), encoded, hashes)

    def append_records(
        self,
        records: pa.RecordBatch,
        encoded: EncodedItems,
        text_hashes: UInt64[np.ndarray, " items"],
    ) -> None:
        """The same for records, with hashes of the encoded texts (0 = not known)."""
        if len(records) != len(encoded):
            raise ValueError(f"expected {len(records)} encoded items, got {len(encoded)}")
        self._records.append(records)
        self._rows.append(encoded, np.stack([text_hashes, record_hashes(records)], axis=1))

    @property
    def digests(self) -> dict[str, list[int]]:
        """The digests of the parts that need not be read again to be sealed."""
        return self._rows.digests


@contextmanager
def writing_records(folder: Path) -> Iterator[RecordsWriter]:
    """Open the growing record files in an empty folder; closed when the block ends."""
    with ExitStack() as files:
        writer = RecordsWriter(folder, files)
        yield writer
        writer.flush()


@contextmanager
def writing_rows(
    folder: Path, *, item_bytes: int, expected: int = 0, kept: int = 0
) -> Iterator[RowsWriter]:
    """Open the growing row files; closed, and cut to what was written, when the block ends."""
    with ExitStack() as files:
        yield RowsWriter(folder, files, item_bytes=item_bytes, expected=expected, kept=kept)


@contextmanager
def writing_files(
    folder: Path, *, item_bytes: int, expected: int = 0
) -> Iterator[GenerationWriter]:
    """Open all of a generation's growing files in an empty folder."""
    with (
        writing_records(folder) as records,
        writing_rows(folder, item_bytes=item_bytes, expected=expected) as rows,
    ):
        yield GenerationWriter(records, rows)


def seal_generation(
    folder: Path,
    *,
    bundle: BundleManifest,
    generation_id: str,
    created: str,
    hash_ids: HashIds = hash_ids,
    digests: Mapping[str, list[int]] | None = None,
) -> GenerationManifest:
    """Index the written items by id and write the manifest that makes the folder a generation.

    `digests` are those known from writing. Raises `BadInput` where there is no item or an id
    comes twice.
    """
    items = write_id_index(folder, hash_ids=hash_ids)
    known = digests or {}
    write_chunks(folder, {n: known[n] if n in known else hash_file(folder / n) for n in PARTS})
    manifest = GenerationManifest(
        generation_id=generation_id,
        bundle_id=bundle.bundle_id,
        items=items,
        rows=bundle.rows,
        dim=bundle.row_bytes,
        bits=bundle.codec.bits,
        item_text=bundle.item_text,
        created=created,
        sizes={name: (folder / name).stat().st_size for name in PARTS},
        files={CHUNKS: seal(folder / CHUNKS)},
    )
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest
