"""One delta segment: some changed and removed items in a file that appears whole or not at all.

    0       magic, length of the header, the header (JSON), xxh3_64 of all before it
    64 KiB  embeddings uint8 [puts, rows, dim], so placed that they can be mapped
    then    Arrow IPC: a row for each put, in the same order, then one for each removal

Which segments there are, and in what order they apply, is `delta_log.py`'s.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import xxhash
from jaxtyping import Int64, UInt8, UInt64
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import replacing_file
from relevance.domain import Item
from relevance.errors import BadGeneration
from service.item_codec import EncodedItems
from service.store.flat_ids import FlatIds
from service.store.item_records import SCHEMA, record_batch, record_hashes, text_hash
from service.store.region import ALIGNMENT

FORMAT: Literal["relevance-delta/1"] = "relevance-delta/1"
MAGIC = b"ELLMDLT1"
COLUMNS = pa.schema(
    [
        *SCHEMA,
        pa.field("token_count", pa.uint8()),
        pa.field("truncated", pa.uint8()),
        pa.field("text_hash", pa.uint64()),
        pa.field("record_hash", pa.uint64()),
        pa.field("source_version", pa.int64()),
        pa.field("sequence", pa.uint64()),
    ]
)


class SegmentVanished(BadGeneration):
    """The segment was there a moment ago: merged with others, or removed with its generation."""


class SegmentHeader(BaseModel):
    """What a segment says about itself; digests are xxh3_64, hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-delta/1"] = FORMAT
    generation_id: str
    bundle_id: str
    first: int = Field(gt=0)
    last: int = Field(gt=0)
    puts: int = Field(ge=0)
    removals: int = Field(ge=0)
    rows: int = Field(gt=0)
    dim: int = Field(gt=0)
    arena_digest: str
    columns_bytes: int
    columns_digest: str

    @property
    def arena_bytes(self) -> int:
        """Bytes of the embeddings."""
        return self.puts * self.rows * self.dim


@dataclass(frozen=True, slots=True)
class Changes:
    """Items to put, with their embeddings and the hashes of what was encoded, and ids to remove.

    No id comes twice. `source_versions` are the puts' versions at their source, 0 where it has
    none. `sequences`, of puts and removals, are given where changes were numbered before.
    """

    records: pa.RecordBatch
    encoded: EncodedItems
    text_hashes: UInt64[np.ndarray, " puts"]
    removed: Sequence[str] = ()
    source_versions: Int64[np.ndarray, " puts"] | None = None
    sequences: UInt64[np.ndarray, " changes"] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.records), len(self.encoded), len(self.text_hashes)}
        if len(counts) > 1:
            raise ValueError(f"expected as many records, embeddings and hashes, got {counts}")
        ids = [*self.records["item_id"].to_pylist(), *self.removed]
        if len(set(ids)) != len(ids):
            raise ValueError("expected each item_id once among the changes")

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        encoded: EncodedItems,
        texts: Sequence[str],
        removed: Sequence[str] = (),
    ) -> Self:
        """The changes that put these items, `texts` being what was encoded of them."""
        hashes = np.fromiter(map(text_hash, texts), np.uint64, len(texts))
        return cls(record_batch(items), encoded, hashes, removed)

    def __len__(self) -> int:
        return len(self.records) + len(self.removed)

    @property
    def versions(self) -> Int64[np.ndarray, " puts"]:
        """The puts' versions at their source."""
        if self.source_versions is None:
            return np.zeros(len(self.records), np.int64)
        return self.source_versions

    @property
    def numbered(self) -> UInt64[np.ndarray, " changes"]:
        """The sequences; zeros where the changes were not numbered yet."""
        return np.zeros(len(self), np.uint64) if self.sequences is None else self.sequences


@dataclass(frozen=True)
class Segment:
    """A checked segment; its embeddings are to be mapped from `path` at `ALIGNMENT`."""

    path: Path
    header: SegmentHeader
    columns: pa.Table

    @cached_property
    def ids(self) -> FlatIds:
        """The ids of puts, then of removals."""
        return FlatIds.of_column(self.columns["item_id"].combine_chunks())

    @cached_property
    def hashes(self) -> UInt64[np.ndarray, "puts two"]:
        """The puts' hashes of text and of all fields."""
        names = ("text_hash", "record_hash")
        return np.stack([self._column(name) for name in names], axis=1)

    def counts(self, name: str) -> UInt8[np.ndarray, " puts"]:
        """`token_count` or `truncated` of the puts."""
        return self._column(name)

    def embeddings(self) -> UInt8[np.ndarray, "puts rows dim"]:
        """The puts' embeddings, read into memory."""
        shape = (self.header.puts, self.header.rows, self.header.dim)
        count = self.header.arena_bytes
        return np.fromfile(self.path, np.uint8, count, offset=ALIGNMENT).reshape(shape)

    def sequences(self) -> UInt64[np.ndarray, " changes"]:
        """The sequence of each put, then of each removal."""
        return self.columns["sequence"].to_numpy()

    def removed(self) -> list[str]:
        """The ids of the removals."""
        return self.columns["item_id"][self.header.puts :].to_pylist()

    def _column(self, name: str) -> np.ndarray:
        return self.columns[name][: self.header.puts].to_numpy()


def write_segment(
    path: Path, changes: Changes, *, generation_id: str, bundle_id: str, first: int, last: int
) -> SegmentHeader:
    """Write a segment crash-safe."""
    arena = np.ascontiguousarray(changes.encoded.embeddings)
    columns = _ipc(_columns(changes, first))
    header = SegmentHeader(
        generation_id=generation_id,
        bundle_id=bundle_id,
        first=first,
        last=last,
        puts=len(changes.records),
        removals=len(changes.removed),
        rows=arena.shape[1],
        dim=arena.shape[2],
        arena_digest=xxhash.xxh3_64_hexdigest(arena.data),
        columns_bytes=columns.size,
        columns_digest=xxhash.xxh3_64_hexdigest(columns),
    )
    with replacing_file(path) as temporary, temporary.open("wb") as file:
        file.write(_packed(header))
        file.seek(ALIGNMENT)
        file.write(arena.data)
        file.write(columns)
    return header


def read_segment(path: Path) -> Segment:
    """Read and check a segment; raises `BadGeneration` naming what is damaged."""
    try:
        content = pa.memory_map(str(path)).read_buffer()
    except FileNotFoundError as fault:
        raise SegmentVanished(f"{path}: expected a delta segment: {fault.strerror}") from fault
    except (OSError, pa.ArrowInvalid) as fault:
        raise BadGeneration(f"{path}: expected a delta segment: {fault}") from fault
    header = _unpacked(content, path)
    ends = ALIGNMENT + header.arena_bytes
    if content.size != ends + header.columns_bytes:
        raise BadGeneration(
            f"{path}: expected {ends + header.columns_bytes} bytes, got {content.size}"
        )
    arena, columns = content.slice(ALIGNMENT, header.arena_bytes), content.slice(ends)
    for part, digest, name in (
        (arena, header.arena_digest, "embeddings"),
        (columns, header.columns_digest, "columns"),
    ):
        found = xxhash.xxh3_64_hexdigest(part)
        if found != digest:
            raise BadGeneration(f"{path}: {name}: expected xxh3_64 {digest}, got {found}")
    table = pa.ipc.open_file(columns).read_all()
    if table.schema != COLUMNS or len(table) != header.puts + header.removals:
        raise BadGeneration(f"{path}: its columns are not those of {FORMAT}")
    return Segment(path, header, table)


def _columns(changes: Changes, first: int) -> pa.Table:
    removals = len(changes.removed)
    own = {
        "token_count": changes.encoded.token_counts,
        "truncated": changes.encoded.truncated.astype(np.uint8),
        "text_hash": changes.text_hashes,
        "record_hash": record_hashes(changes.records),
        "source_version": changes.versions,
    }
    nothing = record_batch([Item(item_id, "") for item_id in changes.removed])
    columns = [pa.chunked_array([changes.records[name], nothing[name]]) for name in SCHEMA.names]
    for field in list(COLUMNS)[len(SCHEMA) : -1]:
        filled = np.concatenate([own[field.name], np.zeros(removals, own[field.name].dtype)])
        columns.append(pa.chunked_array([pa.array(filled, field.type)]))
    counted = np.arange(first, first + len(changes), dtype=np.uint64)
    sequences = counted if changes.sequences is None else changes.sequences
    columns.append(pa.chunked_array([pa.array(sequences, pa.uint64())]))
    return pa.table(columns, schema=COLUMNS).combine_chunks()


def _ipc(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _packed(header: SegmentHeader) -> bytes:
    text = header.model_dump_json().encode()
    head = MAGIC + struct.pack("<I", len(text)) + text
    packed = head + struct.pack("<Q", xxhash.xxh3_64_intdigest(head))
    if len(packed) > ALIGNMENT:
        raise ValueError(f"expected a header of at most {ALIGNMENT} bytes, got {len(packed)}")
    return packed


def _unpacked(content: pa.Buffer, path: Path) -> SegmentHeader:
    head = content.slice(0, min(ALIGNMENT, content.size)).to_pybytes()
    fixed = len(MAGIC) + 4
    length = struct.unpack("<I", head[len(MAGIC) : fixed])[0] if len(head) >= fixed else 0
    end = fixed + length
    if head[: len(MAGIC)] != MAGIC or len(head) < end + 8:
        raise BadGeneration(f"{path}: expected a delta segment ({MAGIC.decode()})")
    (digest,) = struct.unpack("<Q", head[end : end + 8])
    if xxhash.xxh3_64_intdigest(head[:end]) != digest:
        raise BadGeneration(f"{path}: header: its checksum is wrong")
    try:
        return SegmentHeader.model_validate_json(head[fixed:end])
    except ValidationError as fault:
        raise BadGeneration(f"{path}: header: {fault.errors()[0]['msg']}") from fault
