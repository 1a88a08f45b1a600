"""Address space that is reserved once and filled later: a file at its head, more behind it.

A snapshot's arrays must be one piece of memory (the MaxSim graph gathers from one arena), while
deltas arrive after the base was mapped. So room behind the base is reserved up front, which costs
address space and no memory; files and bytes are put there, and what was visible never moves.
Python's own `mmap` cannot map at a given address, hence the C library's.

What lies where is not known here.
"""

import ctypes
import mmap
import os
import sys
import weakref
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from relevance.errors import BadGeneration, Unavailable

ALIGNMENT = 1 << 16  # the largest page of the machines we know; files are mapped at multiples
_MAP_FIXED = 0x10  # Python 3.11 names neither of these
_MAP_NORESERVE = 0x40 if sys.platform == "darwin" else 0x4000
_MAP_FAILED = ctypes.c_void_p(-1).value


class Region:
    """`size` bytes of zeros; the memory goes when the last array that shows it does."""

    def __init__(self, size: int) -> None:
        self.size = _round_up(size)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        self._address = _map(None, self.size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        weakref.finalize(self, _libc.munmap, ctypes.c_void_p(self._address), self.size)

    def map_file(self, path: Path, *, at: int, offset: int, length: int) -> None:
        """Show `length` bytes of a file, shared with all who map it; its later bytes are zeros.

        `at` and `offset` are multiples of `ALIGNMENT`. The file must never be cut.
        """
        self._put_file(path, mmap.PROT_READ, mmap.MAP_SHARED, at, offset, length)

    def copy_on_write_file(self, path: Path, *, length: int) -> None:
        """Show a whole file at the head; what `bytes_from` writes there stays out of the file."""
        access = mmap.PROT_READ | mmap.PROT_WRITE
        self._put_file(path, access, mmap.MAP_PRIVATE | _MAP_NORESERVE, 0, 0, length)

    def write(self, at: int, content: UInt8[np.ndarray, " bytes"]) -> None:
        """Put bytes into this process's own memory."""
        self._shown()[at : at + len(content)] = content

    def array(self) -> UInt8[np.ndarray, " bytes"]:
        """All bytes, read-only; keeps the region alive."""
        shown = self._shown()
        shown.flags.writeable = False
        return shown

    @property
    def __array_interface__(self) -> dict[str, object]:
        """NumPy's door: an array made from it keeps this region alive."""
        return {
            "shape": (self.size,),
            "typestr": "|u1",
            "data": (self._address, False),
            "version": 3,
        }

    def _shown(self) -> UInt8[np.ndarray, " bytes"]:
        return np.asarray(self)

    def _put_file(
        self, path: Path, access: int, sharing: int, at: int, offset: int, length: int
    ) -> None:
        if at % ALIGNMENT or offset % ALIGNMENT or at + length > self.size:
            raise ValueError(f"cannot map {length} bytes from {offset} at {at} of {self.size}")
        descriptor = os.open(path, os.O_RDONLY)
        try:
            found = os.fstat(descriptor).st_size
            if found < offset + length:  # reading past the end would kill the process (SIGBUS)
                raise BadGeneration(f"{path}: expected {offset + length} bytes, got {found}")
            _map(self._address + at, length, access, sharing | _MAP_FIXED, descriptor, offset)
        finally:
            os.close(descriptor)


def rows_between_files(item_bytes: int) -> int:
    """Each file's first row must be a multiple of this for its bytes to be mappable there."""
    return ALIGNMENT // np.gcd(ALIGNMENT, item_bytes).item()


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _map(
    address: int | None, length: int, access: int, flags: int, descriptor: int, offset: int
) -> int:
    found = _libc.mmap(address, length, access, flags, descriptor, offset)
    if found is None or found == _MAP_FAILED:
        reason = os.strerror(ctypes.get_errno())
        raise Unavailable(f"cannot map {length:,} bytes: {reason}\nhint: see `ulimit -v`")
    return int(found)


def _open_libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int64,
    )
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc


_libc = _open_libc()  # the C library this process already has; nothing is loaded
