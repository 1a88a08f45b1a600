"""Rows that a refresh wrote, appended as deltas to the generation they were compared with.

Whatever was appended by others since then is newer than the catalogue that was read, and wins.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from relevance.bundle import BundleManifest
from relevance.errors import Unavailable
from relevance.generation import CONTENT_HASHES, StorePaths
from service.item_codec import EncodedItems
from service.refresh.spool import Spool
from service.refresh.verify import map_rows
from service.store.delta_log import append_to, appending
from service.store.generation_reader import GenerationReader
from service.store.item_records import record_batch
from service.store.mapped import map_array
from service.store.publish import changes_since
from service.store.segment import Changes

ITEMS_PER_SEGMENT = 16_384  # 64 MB of embeddings: what a merge and a check hold in memory


def append_rows(
    store: StorePaths,
    spool: Spool,
    places: Int64[np.ndarray, " places"],
    removed: Sequence[str],
    *,
    live: GenerationReader,
    bundle: BundleManifest,
) -> int:
    """Append the puts at `places` of a spool and the removals; the new sequence.

    Raises `Unavailable` where another generation became current in the meantime.
    """
    with appending(store) as current:
        if current is None or current.generation != live.generation_id:
            raise Unavailable(
                f"{store.root}: generation {live.generation_id} is no longer current\n"
                "hint: run the refresh again"
            )
        late = changes_since(store, live.generation_id, live.sequence)
        newer = set() if late is None else {*late.records["item_id"].to_pylist(), *late.removed}
        several = _changes(spool, places, removed, newer, bundle)
        return append_to(store, live.generation_id, several, bundle_id=bundle.bundle_id)


def _changes(
    spool: Spool,
    places: Int64[np.ndarray, " places"],
    removed: Sequence[str],
    newer: set[str],
    bundle: BundleManifest,
) -> Iterator[Changes]:
    if len(places):
        arena, token_counts, truncated = map_rows(spool, len(places), bundle)
        hashes = map_array(spool.folder / CONTENT_HASHES, "<u8", (len(places), 2))
    gone = tuple(item_id for item_id in removed if item_id not in newer)
    for wanted, records in spool.records_at(places, at_most=ITEMS_PER_SEGMENT):
        ids = records["item_id"].to_pylist()
        is_kept = np.array([item_id not in newer for item_id in ids], np.bool_)
        rows = np.searchsorted(places, wanted[is_kept])
        yield Changes(
            records=records.filter(pa.array(is_kept)),
            encoded=EncodedItems(arena[rows], token_counts[rows], truncated[rows] > 0),
            text_hashes=hashes[rows, 0],
            removed=gone,
        )
        gone = ()  # with the first puts: few changes are one segment, seen at once
    shape = (0, bundle.rows, bundle.row_bytes)
    nothing = EncodedItems(np.empty(shape, np.uint8), np.empty(0, np.uint8), np.empty(0, np.bool_))
    yield Changes(record_batch([]), nothing, np.empty(0, np.uint64), gone)
