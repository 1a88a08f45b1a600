"""Checksums of a generation, MiB by MiB: made while writing, checked whole, sampled or in turn.

xxh3_64 finds damage by disks, memory and copying; it is no protection against a forger. In format
1 a whole part is one chunk and SHA-256 its checksum.
"""

import hashlib
import io
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np
import xxhash
from jaxtyping import UInt64

from relevance.bundle import seal
from relevance.errors import BadGeneration
from relevance.generation import (
    CHUNK_BYTES,
    CHUNKS,
    FORMAT_1,
    PARTS,
    PARTS_1,
    GenerationManifest,
)

SAMPLED_CHUNKS = 16  # read again at every opening


@dataclass(frozen=True, slots=True)
class Chunk:
    """One checked piece of a part and what it must hash to (hexadecimal)."""

    path: Path
    offset: int
    length: int
    digest: str
    algorithm: str = "xxh3_64"

    def check(self) -> None:
        """Read it again; raises `BadGeneration` where it is not what was written."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.length)
        found = _ALGORITHMS[self.algorithm](content)
        if found != self.digest:
            raise BadGeneration(
                f"{self.path}: bytes {self.offset:,} to {self.offset + self.length:,}: "
                f"expected {self.algorithm} {self.digest[:16]}, got {found[:16]}"
            )


class HashedFile(io.RawIOBase):
    """A new file that hashes each chunk as it is written, or goes on with one left unfinished."""

    def __init__(self, path: Path, *, kept: int = 0) -> None:
        super().__init__()
        self._file = path.open("r+b" if kept else "xb")
        self._digests: list[int] = []
        self._hash, self._in_chunk = xxhash.xxh3_64(), 0
        self.size = 0
        while self.size < kept:
            self._count(self._read(min(CHUNK_BYTES, kept - self.size), path, kept))

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._file.fileno()

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size

    def write(self, content: object) -> int:
        """Append bytes."""
        view = memoryview(content).cast("B")  # type: ignore[arg-type]
        self._file.write(view)
        self._count(view)
        return len(view)

    def flush(self) -> None:
        """Hand what is buffered to the kernel."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Close the file, cut to what was written (space may have been reserved past it)."""
        if not self.closed:
            self._file.truncate(self.size)
            self._file.close()
        super().close()

    @property
    def digests(self) -> list[int]:
        """xxh3_64 of each chunk so far."""
        return [*self._digests, *([self._hash.intdigest()] if self._in_chunk else [])]

    def _read(self, length: int, path: Path, kept: int) -> bytes:
        content = self._file.read(length)
        if len(content) < length:
            raise BadGeneration(f"{path}: expected {kept} bytes, got {self.size + len(content)}")
        return content

    def _count(self, content: bytes | memoryview) -> None:
        view, at = memoryview(content), 0
        while at < len(view):
            piece = view[at : at + CHUNK_BYTES - self._in_chunk]
            self._hash.update(piece)
            self._in_chunk += len(piece)
            at += len(piece)
            if self._in_chunk == CHUNK_BYTES:
                self._digests.append(self._hash.intdigest())
                self._hash, self._in_chunk = xxhash.xxh3_64(), 0
        self.size += len(view)


def hash_file(path: Path) -> list[int]:
    """The digests of a file that is complete already."""
    with path.open("rb") as file:
        chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
        return [xxhash.xxh3_64_intdigest(chunk) for chunk in chunks]


def write_chunks(folder: Path, digests: dict[str, list[int]]) -> None:
    """Write chunks.u64 for all parts of an unfinished generation."""
    in_order = [digest for name in PARTS for digest in digests[name]]
    np.array(in_order, "<u8").tofile(folder / CHUNKS)


class Chunks(Sequence[Chunk]):
    """All chunks of a generation in the order of their parts, made when asked for."""

    def __init__(
        self, folder: Path, sizes: Mapping[str, int], digests: UInt64[np.ndarray, " chunks"]
    ) -> None:
        self._paths = [folder / name for name in sizes]
        self._sizes = list(sizes.values())
        self._ends = list(accumulate(-(-size // CHUNK_BYTES) for size in self._sizes))
        self._digests = digests
        if self._ends[-1] != len(digests):
            raise BadGeneration(
                f"{folder / CHUNKS}: expected {self._ends[-1]} digests, got {len(digests)}"
            )

    def __len__(self) -> int:
        return len(self._digests)

    @overload
    def __getitem__(self, at: int) -> Chunk: ...
    @overload
    def __getitem__(self, at: slice) -> list[Chunk]: ...
    def __getitem__(self, at: int | slice) -> Chunk | list[Chunk]:
        """Chunk `at`, or several."""
        if isinstance(at, slice):
            return [self[place] for place in range(len(self))[at]]
        place = range(len(self))[at]
        part = bisect_right(self._ends, place)
        offset = (place - (self._ends[part - 1] if part else 0)) * CHUNK_BYTES
        length = min(CHUNK_BYTES, self._sizes[part] - offset)
        return Chunk(self._paths[part], offset, length, f"{int(self._digests[place]):016x}")


def read_chunks(folder: Path, manifest: GenerationManifest) -> Sequence[Chunk]:
    """Every chunk of a generation, after checking the parts' sizes and the digests' own seal.

    Raises `BadGeneration` naming the file that is absent or has another size.
    """
    if manifest.format == FORMAT_1:
        return [_whole_part(folder, name, manifest) for name in PARTS_1]
    sizes = {name: _checked_size(folder / name, manifest.sizes.get(name)) for name in PARTS}
    _check_sealed(folder, CHUNKS, manifest)
    return Chunks(folder, sizes, np.fromfile(folder / CHUNKS, "<u8"))


def check_all(chunks: Sequence[Chunk]) -> None:
    """Read everything; raises `BadGeneration` at the first damage."""
    for chunk in chunks:
        chunk.check()


def sample(chunks: Sequence[Chunk], *, count: int = SAMPLED_CHUNKS) -> list[Chunk]:
    """The first chunk, the last one and some others, different ones each time."""
    places = {0, len(chunks) - 1, *random.sample(range(len(chunks)), min(count, len(chunks)))}
    return [chunks[place] for place in sorted(places)]


def _whole_part(folder: Path, name: str, manifest: GenerationManifest) -> Chunk:
    expected = manifest.files.get(name)
    size = _checked_size(folder / name, None if expected is None else expected.bytes)
    assert expected is not None  # else the size was refused
    return Chunk(folder / name, 0, size, expected.sha256, "SHA-256")


def _check_sealed(folder: Path, name: str, manifest: GenerationManifest) -> None:
    expected = manifest.files.get(name)
    _checked_size(folder / name, None if expected is None else expected.bytes)
    found = seal(folder / name)
    if found != expected:
        raise BadGeneration(f"{folder / name}: expected the SHA-256 of the manifest, got another")


def _checked_size(path: Path, expected: int | None) -> int:
    if expected is None:
        raise BadGeneration(f"{path}: the manifest does not mention this file")
    if not path.is_file():
        raise BadGeneration(f"{path}: the manifest names this file, but it is absent")
    size = path.stat().st_size
    if size != expected:
        raise BadGeneration(f"{path}: expected {expected} bytes, got {size}")
    return size


_ALGORITHMS: dict[str, Callable[[bytes], str]] = {
    "xxh3_64": xxhash.xxh3_64_hexdigest,
    "SHA-256": lambda content: hashlib.sha256(content).hexdigest(),
}
