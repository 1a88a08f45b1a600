"""A local generation as ready-made items to load into Redis, delta changes included."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt64

from relevance.domain import Item
from service.redis_tier.load import ReadyItems
from service.store.generation_reader import GenerationReader
from service.store.item_records import items_of

ITEMS_A_BATCH = 1024


def ready_items(generation: GenerationReader) -> Iterator[ReadyItems]:
    """Every live item of a snapshot, batch after batch."""
    live = generation.live_rows()
    base = generation.manifest.items
    in_base, in_deltas = live[live < base], live[live >= base]
    for start in range(0, base, ITEMS_A_BATCH):  # neighbours are read from Arrow at once
        end = min(start + ITEMS_A_BATCH, base)
        rows = in_base[slice(*np.searchsorted(in_base, (start, end)))]
        items = items_of(generation.base.records.slice(start, end - start).take(rows - start))
        yield _ready(generation, rows, items)
    for start in range(0, len(in_deltas), ITEMS_A_BATCH):
        rows = in_deltas[start : start + ITEMS_A_BATCH]
        yield _ready(generation, rows, generation.items(rows.tolist()))


def _ready(
    generation: GenerationReader, rows: Int64[np.ndarray, " rows"], items: Sequence[Item]
) -> ReadyItems:
    return ReadyItems(
        items=items,
        embeddings=generation.arena[rows],
        token_counts=generation.token_counts[rows],
        truncated=generation.truncated[rows],
        content_hashes=generation.content_hashes(rows)[:, 0],
        source_versions=_versions(generation, rows),
    )


def _versions(
    generation: GenerationReader, rows: Int64[np.ndarray, " rows"]
) -> UInt64[np.ndarray, " rows"]:
    """Since when each item is as it is: its own version at its source, else when it was written."""
    versions = np.full(len(rows), created_ms(generation), np.uint64)
    for at in np.flatnonzero(rows >= generation.manifest.items).tolist():
        placed, place = generation.overlay.find(int(rows[at]))
        told = placed.segment.columns["source_version"][place].as_py()
        versions[at] = told or _written_ms(placed.segment.path)
    return versions


def created_ms(generation: GenerationReader) -> int:
    """When a generation was begun, in milliseconds since the epoch."""
    return int(datetime.fromisoformat(generation.manifest.created).timestamp() * 1000)


def newest_ms(generation: GenerationReader) -> int:
    """When a snapshot last changed, in milliseconds since the epoch."""
    written = [_written_ms(placed.segment.path) for placed in generation.overlay.placed]
    return max([created_ms(generation), *written])


def live_count(generation: GenerationReader) -> int:
    """How many items a snapshot has."""
    return int(np.size(generation.live_rows()))


def _written_ms(path: Path) -> int:
    """When a segment was written; merged since, it is another file: then now."""
    try:
        return int(path.stat().st_mtime * 1000)
    except FileNotFoundError:
        return int(time.time() * 1000)
