"""The rows of a spooled catalogue, in its order: copied where they are still right, else encoded.

Reading runs ahead of encoding and encoding ahead of writing, each by a bounded number of batches.
What was written is noted every few seconds; a run that was killed goes on from the last note.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int64, UInt64

from relevance.atomic import write_text
from relevance.bundle import BundleManifest
from relevance.item_text import item_text
from service.item_codec import EncodedItems
from service.refresh.differences import ENCODE
from service.refresh.encode import BATCHES_AHEAD, TEXTS_PER_BATCH, EncodingPool, Pace, Waiting
from service.refresh.spool import Spool
from service.store.build import ROW_PARTS, writing_rows
from service.store.generation_reader import GenerationReader
from service.store.item_records import items_of, text_hash

ITEMS_PER_GROUP = 1024
GROUPS_AHEAD = 8
SECONDS_BETWEEN_NOTES = 5.0
NOTE = "progress.json"


@dataclass(frozen=True, slots=True)
class Group:
    """Some items with their rows; `encoded_now` of them were not copied."""

    records: pa.RecordBatch
    encoded: EncodedItems
    hashes: UInt64[np.ndarray, "items two"]
    encoded_now: int

    def __len__(self) -> int:
        return len(self.encoded)


Progress = Callable[[Iterable[Group], int], Iterator[Group]]


@dataclass(frozen=True, slots=True)
class RowSource:
    """Where rows come from: the spool's items, live rows to copy, and a pool to encode the rest.

    `rows` names the live row of each item or `ENCODE`.
    """

    spool: Spool
    rows: Int64[np.ndarray, " items"]
    live: GenerationReader | None
    bundle: BundleManifest
    pool: EncodingPool
    pace: Pace


def write_rows(
    source: RowSource, places: Int64[np.ndarray, " places"], *, progress: Progress
) -> dict[str, list[int]]:
    """Write the rows of the items at ascending `places` into the spool's folder.

    Goes on after what a former run noted there. Returns the digests of what was written.
    """
    folder = source.spool.folder
    kept = noted(folder)
    item_bytes = source.bundle.rows * source.bundle.row_bytes
    if not kept:
        for name in ROW_PARTS:
            (folder / name).unlink(missing_ok=True)
    with writing_rows(folder, item_bytes=item_bytes, expected=len(places), kept=kept) as writer:
        last_note = time.monotonic()
        for group in progress(_groups(source, places[kept:]), len(places) - kept):
            writer.append(group.encoded, group.hashes)
            if time.monotonic() - last_note > SECONDS_BETWEEN_NOTES:
                writer.sync()
                _note(folder, writer.items)
                last_note = time.monotonic()
        writer.sync()
        digests = writer.digests
    _note(folder, len(places))
    return digests


def noted(folder: Path) -> int:
    """How many items' rows a former run finished; 0 where none did."""
    try:
        return int(json.loads((folder / NOTE).read_bytes())["items"])
    except FileNotFoundError:
        return 0


def _note(folder: Path, items: int) -> None:
    write_text(folder / NOTE, json.dumps({"items": items}) + "\n")


def _groups(source: RowSource, places: Int64[np.ndarray, " places"]) -> Iterator[Group]:
    ahead: deque[_Begun] = deque()
    for wanted, records in source.spool.records_at(places, at_most=ITEMS_PER_GROUP):
        ahead.append(_begin(source, wanted, records))
        while _is_far(ahead, source.pool.lanes):
            yield _finish(source, ahead.popleft())
    while ahead:
        yield _finish(source, ahead.popleft())


@dataclass(frozen=True, slots=True)
class _Begun:
    """A group whose texts are being encoded, in `order`: texts alike in length beside each other,
    which may share work."""

    records: pa.RecordBatch
    record_hashes: UInt64[np.ndarray, " items"]
    rows: Int64[np.ndarray, " items"]
    text_hashes: UInt64[np.ndarray, " encoded"]
    order: Int64[np.ndarray, " encoded"]
    waiting: tuple[Waiting, ...]


def _is_far(ahead: deque[_Begun], lanes: int) -> bool:
    begun = sum(len(group.waiting) for group in list(ahead)[1:])
    return len(ahead) > GROUPS_AHEAD or begun >= BATCHES_AHEAD * lanes


def _begin(
    source: RowSource, places: Int64[np.ndarray, " items"], records: pa.RecordBatch
) -> _Begun:
    rows = source.rows[places]
    items = items_of(records.filter(pa.array(rows == ENCODE)))
    texts = [item_text(item, source.bundle.item_text) for item in items]
    order = np.argsort(np.array([len(text) for text in texts], np.int64), kind="stable")
    ordered = [texts[at] for at in order.tolist()]
    waiting = []
    for start in range(0, len(ordered), TEXTS_PER_BATCH):
        batch = ordered[start : start + TEXTS_PER_BATCH]
        source.pace.take(len(batch))
        waiting.append(source.pool.submit(batch))
    return _Begun(
        records=records,
        record_hashes=source.spool.hashes[places],
        rows=rows,
        text_hashes=np.fromiter(map(text_hash, texts), np.uint64, len(texts)),
        order=order,
        waiting=tuple(waiting),
    )


def _finish(source: RowSource, begun: _Begun) -> Group:
    encoded = [wait() for wait in begun.waiting]
    is_new = begun.rows == ENCODE
    copied = begun.rows[~is_new]
    count, bundle, live = len(begun.rows), source.bundle, source.live
    embeddings = np.empty((count, bundle.rows, bundle.row_bytes), np.uint8)
    token_counts, truncated = np.empty(count, np.uint8), np.empty(count, np.bool_)
    text_hashes = np.empty(count, np.uint64)
    if encoded:
        places = np.flatnonzero(is_new)[begun.order]
        embeddings[places] = np.concatenate([batch.embeddings for batch in encoded])
        token_counts[places] = np.concatenate([batch.token_counts for batch in encoded])
        truncated[places] = np.concatenate([batch.truncated for batch in encoded])
        text_hashes[is_new] = begun.text_hashes
    if live is not None and len(copied):
        embeddings[~is_new] = live.arena[copied]
        token_counts[~is_new] = live.token_counts[copied]
        truncated[~is_new] = live.truncated[copied] > 0
        text_hashes[~is_new] = live.content_hashes(copied)[:, 0]
    return Group(
        records=begun.records,
        encoded=EncodedItems(embeddings, token_counts, truncated),
        hashes=np.stack([text_hashes, begun.record_hashes], axis=1),
        encoded_now=int(np.count_nonzero(is_new)),
    )
