"""Reading a generation's checksums again, slowly, while it answers requests.

It reads what the service reads, through the kernel's cache: damage in memory or by another
process shows at once, damage on the disk when the page is next read from there.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relevance.errors import BadGeneration
from relevance.generation import StorePaths, read_current, read_manifest
from service.store.chunks import Chunk, read_chunks
from service.store.delta_log import segment_files
from service.store.retention import quarantine
from service.store.segment import read_segment

BYTES_PER_SECOND = 32 << 20  # a 4 GB generation in two minutes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What one pass found; `damage` is None where all was sound."""

    generation_id: str
    bytes: int
    damage: str | None


def scrub(
    store: StorePaths,
    generation_id: str,
    *,
    bytes_per_second: float = BYTES_PER_SECOND,
    wait: Callable[[float], object] = time.sleep,
    progress: Callable[[int], object] = lambda read: None,
) -> Scrubbed:
    """Read every chunk and segment once, at most so fast; `wait` may raise to stop."""
    read = 0
    try:
        for length, check in _pieces(store, generation_id):
            check()
            read += length
            progress(length)
            wait(length / bytes_per_second)
    except BadGeneration as fault:
        return Scrubbed(generation_id, read, str(fault))
    except FileNotFoundError as fault:
        is_removed = not store.generation(generation_id).exists()  # as being too old
        return Scrubbed(generation_id, read, None if is_removed else str(fault))
    return Scrubbed(generation_id, read, None)


def scrub_current(
    store: StorePaths,
    *,
    bytes_per_second: float = BYTES_PER_SECOND,
    wait: Callable[[float], object] = time.sleep,
) -> Scrubbed:
    """Scrub what is current; where it is damaged, set it aside and return to the one before.

    Says so in the log. Raises `BadGeneration` where there is no earlier one: a damaged one goes
    on answering then, and health should say so.
    """
    found = scrub(
        store, read_current(store).generation, bytes_per_second=bytes_per_second, wait=wait
    )
    if found.damage is not None:
        _log.error("generation %s is damaged: %s", found.generation_id, found.damage)
        now = quarantine(store, found.generation_id)
        _log.error("returned to generation %s (bundle %s)", now.generation, now.bundle)
    return found


def _pieces(store: StorePaths, generation_id: str) -> Iterator[tuple[int, Callable[[], object]]]:
    folder = store.generation(generation_id)
    for chunk in read_chunks(folder, read_manifest(folder)):
        yield chunk.length, _checker(chunk)
    for file in segment_files(store.deltas(generation_id)):
        yield file.path.stat().st_size, lambda file=file: read_segment(file.path)  # type: ignore[misc]


def _checker(chunk: Chunk) -> Callable[[], object]:
    return chunk.check
