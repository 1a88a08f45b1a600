"""Encoding a sample again and comparing bytes, before anything new is seen by the service."""

import numpy as np
from jaxtyping import Int64

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import BadGeneration
from relevance.generation import EMBEDDINGS, TOKEN_COUNTS, TRUNCATED
from service.item_codec import EncodedItems, ItemCodec
from service.refresh.spool import Spool
from service.store.generation_reader import GenerationReader
from service.store.item_records import items_of
from service.store.mapped import map_array

SAMPLE = 32


def verify(written: GenerationReader, codec: ItemCodec, *, sample: int = SAMPLE) -> None:
    """Check some of a generation's items; raises `BadGeneration` naming the first wrong one."""
    rows = written.live_rows()
    for row in rows[_evenly(len(rows), sample)].tolist():
        item = written.item(row)
        _compare(
            item, row, _row(written.arena, written.token_counts, written.truncated, row), codec
        )
        if written.rows_of([item.item_id])[0] != row:
            raise BadGeneration(f"item `{item.item_id}`: expected to find it in row {row}")


def verify_rows(
    spool: Spool,
    places: Int64[np.ndarray, " places"],
    bundle: BundleManifest,
    codec: ItemCodec,
    *,
    sample: int = SAMPLE,
) -> None:
    """The same for rows written beside a spool, not yet part of a generation."""
    if not len(places):
        return
    arena, token_counts, truncated = map_rows(spool, len(places), bundle)
    chosen = _evenly(len(places), sample)
    for wanted, records in spool.records_at(places[chosen], at_most=len(chosen)):
        for place, item in zip(wanted.tolist(), items_of(records), strict=True):
            row = int(np.searchsorted(places, place))
            _compare(item, row, _row(arena, token_counts, truncated, row), codec)


def map_rows(
    spool: Spool, count: int, bundle: BundleManifest
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, token counts and truncations written beside a spool."""
    shape = (count, bundle.rows, bundle.row_bytes)
    return (
        map_array(spool.folder / EMBEDDINGS, "u1", shape),
        map_array(spool.folder / TOKEN_COUNTS, "u1", (count,)),
        map_array(spool.folder / TRUNCATED, "u1", (count,)),
    )


def _evenly(count: int, sample: int) -> Int64[np.ndarray, " sample"]:
    return np.unique(np.linspace(0, count - 1, num=min(sample, count), dtype=np.int64))


def _row(
    arena: np.ndarray, token_counts: np.ndarray, truncated: np.ndarray, row: int
) -> EncodedItems:
    at = slice(row, row + 1)
    return EncodedItems(arena[at], token_counts[at], truncated[at].astype(np.bool_))


def _compare(item: Item, row: int, written: EncodedItems, codec: ItemCodec) -> None:
    again = codec.encode([codec.text(item)])
    same = (
        np.array_equal(again.embeddings, written.embeddings)
        and np.array_equal(again.token_counts, written.token_counts)
        and np.array_equal(again.truncated, written.truncated)
    )
    if not same:
        raise BadGeneration(
            f"{EMBEDDINGS}: item `{item.item_id}` in row {row}: "
            "expected the bytes of encoding it again, got others"
        )
