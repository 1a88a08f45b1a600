"""Many ids as two arrays, UTF-8 bytes and offsets: no Python object per id, mappable from files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64, UInt8, UInt64

WIDE = (pa.large_string(), pa.large_binary())  # with offsets of 64 bits


@dataclass(frozen=True, slots=True)
class FlatIds:
    """Id k is `content[offsets[k] : offsets[k + 1]]`; the first begins at 0."""

    content: UInt8[np.ndarray, " bytes"]
    offsets: UInt64[np.ndarray, " ids_and_one"]

    @classmethod
    def of(cls, encoded: Sequence[bytes]) -> Self:
        """Flatten encoded ids."""
        return cls.of_column(pa.array(encoded, pa.large_binary()))

    @classmethod
    def of_column(cls, column: pa.StringArray | pa.LargeBinaryArray) -> Self:
        """The ids of an Arrow column without nulls, its bytes not copied."""
        _, offsets_buffer, content = column.buffers()
        width = np.int64 if column.type in WIDE else np.int32
        found = np.frombuffer(offsets_buffer, width) if offsets_buffer else np.zeros(1, width)
        offsets = found[column.offset : column.offset + len(column) + 1].astype(np.uint64)
        shown = np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)
        return cls(shown[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0])

    @classmethod
    def joined(cls, several: Iterable[Self]) -> Self:
        """The ids of one after those of the other."""
        parts = list(several)
        starts = np.cumsum([0, *(len(part.content) for part in parts)]).astype(np.uint64)
        offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
        content = [part.content for part in parts]
        return cls(
            np.concatenate([np.empty(0, np.uint8), *content]),
            np.concatenate([*offsets, starts[-1:]]),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def slice(self, start: int, end: int) -> "FlatIds":
        """The ids from `start` up to `end`; shares the bytes."""
        offsets = self.offsets[start : end + 1]
        return FlatIds(self.content[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0])

    def at(self, place: int) -> bytes:
        """One id as bytes."""
        start, end = self.offsets[place], self.offsets[place + 1]
        return self.content[int(start) : int(end)].tobytes()

    def texts(self, places: Int64[np.ndarray, " places"]) -> list[str]:
        """The ids at some places as text."""
        starts, ends = self.offsets[places].tolist(), self.offsets[places + 1].tolist()
        return [
            decode_id(self.content[start:end].tobytes())
            for start, end in zip(starts, ends, strict=True)
        ]

    def encoded(self) -> list[bytes]:
        """All ids as bytes, for hashing."""
        content, offsets = np.ascontiguousarray(self.content).data, self.offsets.tolist()
        return [bytes(content[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)]

    def hold(self, places: Int64[np.ndarray, " ids"], asked: "FlatIds") -> Bool[np.ndarray, " ids"]:
        """Whether the id at `places[k]` is `asked`'s id k."""
        starts = self.offsets[places].view(np.int64)
        bounds = asked.offsets.view(np.int64)
        lengths = bounds[1:] - bounds[:-1]
        same = self.offsets[places + 1].view(np.int64) - starts == lengths
        theirs = asked.content
        if not same.all():  # nothing to compare where the lengths differ
            theirs, lengths = theirs[np.repeat(same, lengths)], np.where(same, lengths, 0)
        ends = np.cumsum(lengths)
        ours = np.repeat(starts - ends + lengths, lengths)
        ours += np.arange(len(ours))
        differing = np.flatnonzero(self.content[ours] != theirs)
        same[np.searchsorted(ends, differing, side="right")] = False
        return same


def encode_ids(item_ids: Iterable[str]) -> list[bytes]:
    """Each id's bytes, as `encode_id` gives them, without a Python call an id."""
    kept = item_ids if isinstance(item_ids, list) else list(item_ids)
    try:
        return list(map(str.encode, kept))
    except UnicodeEncodeError:
        return [encode_id(item_id) for item_id in kept]


def encode_id(item_id: str) -> bytes:
    """An id's bytes; a lone surrogate, which no catalogue can hold, is merely an unknown id."""
    return item_id.encode("utf-8", "surrogatepass")


def decode_id(encoded: bytes) -> str:
    """The id with these bytes."""
    return encoded.decode("utf-8", "surrogatepass")
