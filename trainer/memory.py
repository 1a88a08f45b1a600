"""Keep freed memory with the process while training.

glibc returns large freed tensors to the kernel and faults them in again at the next step. Holding
on to them made a training step on two cores 1.2 times as fast (0.62 s → 0.50 s, 64 pairs).
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Ask glibc's allocator to reuse freed blocks; does nothing under another C library."""
    allocator = ctypes.CDLL(None) if sys.platform == "linux" else None
    if allocator is None or not hasattr(allocator, "mallopt"):
        return
    allocator.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
    allocator.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
