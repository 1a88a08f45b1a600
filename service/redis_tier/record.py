"""One item's embeddings as a Redis value: a header that says what it is, then the rows.

    bytes  0–3   magic `ELMR`
           4     version of this layout, 1
           5     flags: 1 = the text was cut, 2 = the item was deleted (no rows follow)
           6     real tokens; 0 = the item has no text
           7     rows
           8–15  bundle id
          16–23  content hash: xxh3_64 of the text the encoder saw (`item_records.text_hash`)
          24–31  source version
          32–33  dimensions
          34–35  zero
          36–39  CRC32C of the rows, continued over bytes 0–35
          40–    rows · dimensions bytes, uint8

Numbers are little-endian. A value that is anything else is no record: readers treat it as missing.
Key names are `keys.py`'s; how item and text become rows `service.item_codec`'s.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from crc32c import crc32c
from jaxtyping import Bool, UInt8, UInt64

MAGIC = b"ELMR"
LAYOUT = 1
HEADER_BYTES = 40
TRUNCATED, DELETED = 1, 2

_HEADER = struct.Struct("<4sBBBB8sQQHH")
_READ = struct.Struct("<5xBBx8xQQ")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class RecordShape:
    """What every record of one bundle has in common; the key space of another bundle never fits."""

    bundle_id: str
    rows: int
    dim: int
    bundle: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bundle", bytes.fromhex(self.bundle_id))

    @property
    def value_bytes(self) -> int:
        """The length of a record with rows."""
        return HEADER_BYTES + self.rows * self.dim


@dataclass(frozen=True, slots=True)
class Record:
    """One verified record. `rows` is None for a deleted item."""

    content_hash: int
    source_version: int
    token_count: int
    truncated: bool
    rows: UInt8[np.ndarray, "rows dim"] | None

    @property
    def is_deleted(self) -> bool:
        """Whether the record says that the item is gone."""
        return self.rows is None


@dataclass(frozen=True, slots=True)
class Block:
    """Some records read at once; what is said of record i counts where `is_found[i]`.

    `is_deleted` says that an item is known to be gone, `is_refused` that a value was there which
    could not be trusted.
    """

    rows: UInt8[np.ndarray, "records rows dim"]
    token_counts: UInt8[np.ndarray, " records"]
    truncated: Bool[np.ndarray, " records"]
    content_hashes: UInt64[np.ndarray, " records"]
    source_versions: UInt64[np.ndarray, " records"]
    is_found: Bool[np.ndarray, " records"]
    is_deleted: Bool[np.ndarray, " records"]
    is_refused: Bool[np.ndarray, " records"]

    @classmethod
    def empty(cls, shape: RecordShape, count: int) -> Self:
        """Room for `count` records, none found yet."""
        flags = [np.zeros(count, np.bool_) for _ in range(4)]
        hashes, versions = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
        rows = np.empty((count, shape.rows, shape.dim), np.uint8)
        return cls(rows, np.zeros(count, np.uint8), flags[0], hashes, versions, *flags[1:])


def pack(
    shape: RecordShape,
    rows: UInt8[np.ndarray, "rows dim"],
    *,
    content_hash: int,
    source_version: int,
    token_count: int,
    truncated: bool,
) -> bytes:
    """The value of an item with these rows."""
    flags = TRUNCATED if truncated else 0
    return _sealed(shape, rows.tobytes(), flags, token_count, content_hash, source_version)


def pack_deleted(shape: RecordShape, *, source_version: int) -> bytes:
    """The value that says an item is gone, so that an older change cannot bring it back."""
    return _sealed(shape, b"", DELETED, 0, 0, source_version)


def unpack(shape: RecordShape, value: bytes | None) -> Record | None:
    """The record in a value; None where it is absent, damaged, of another bundle or layout."""
    if value is None or not is_sound(shape, value):
        return None
    _, _, flags, count, _, _, content, version, _, _ = _HEADER.unpack_from(value)
    rows = None
    if not flags & DELETED:
        block = np.frombuffer(value, np.uint8, offset=HEADER_BYTES)
        rows = block.reshape(shape.rows, shape.dim)
    return Record(content, version, count, bool(flags & TRUNCATED), rows)


def unpack_block(shape: RecordShape, values: Sequence[bytes | None]) -> Block:
    """Many values in the order they came."""
    block = Block.empty(shape, len(values))
    flat = block.rows.reshape(len(values), shape.rows * shape.dim)  # -1 fails where there are none
    for at, value in enumerate(values):
        if value is None:
            continue
        if not is_sound(shape, value):
            block.is_refused[at] = True
            continue
        flags, count, content, version = _READ.unpack_from(value)
        block.source_versions[at] = version
        if flags & DELETED:
            block.is_deleted[at] = True
            continue
        flat[at] = np.frombuffer(value, np.uint8, offset=HEADER_BYTES)
        block.token_counts[at], block.truncated[at] = count, flags & TRUNCATED
        block.content_hashes[at], block.is_found[at] = content, True
    return block


def is_sound(shape: RecordShape, value: bytes) -> bool:
    """Whether a value is a record of this bundle, whole and undamaged."""
    if len(value) < HEADER_BYTES or value[:4] != MAGIC or value[4] != LAYOUT:
        return False
    if value[8:16] != shape.bundle or value[7] != shape.rows:
        return False
    expected = HEADER_BYTES if value[5] & DELETED else shape.value_bytes
    if len(value) != expected or value[6] > shape.rows:
        return False
    view = memoryview(value)
    (expected_crc,) = _CRC.unpack_from(value, _HEADER.size)
    return _checksum(view[: _HEADER.size], view[HEADER_BYTES:]) == expected_crc


def _sealed(
    shape: RecordShape, rows: bytes, flags: int, token_count: int, content: int, version: int
) -> bytes:
    head = _HEADER.pack(
        MAGIC, LAYOUT, flags, token_count, shape.rows, shape.bundle, content, version, shape.dim, 0
    )
    return b"".join((head, _CRC.pack(_checksum(head, rows)), rows))


def _checksum(head: bytes | memoryview, rows: bytes | memoryview) -> int:
    return crc32c(head, crc32c(rows))
