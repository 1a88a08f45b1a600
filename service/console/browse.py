"""Looking items up while somebody types: by the beginning of an id, or by words of a title.

A plain look through the catalogue's records, within a bounded time. Ranking by meaning is search's.
"""

import time

import pyarrow as pa
import pyarrow.compute as pc

from relevance.domain import Item
from relevance.text import normalise
from service.console.wire import BrowseReply, BrowseRequest, ItemCard
from service.job import Job
from service.store.found import stored_items
from service.store.generation_reader import GenerationReader
from service.store.item_records import items_of

MOST_SECONDS = 0.25  # then what was found is shown: about a million short titles
BLOCK = 8192


def browse_reply(job: Job, request: BrowseRequest) -> BrowseReply:
    """The item with this very id, then others in the catalogue's order."""
    text = normalise(request.text)
    found = [item for item in stored_items(job.snapshot.items, [text]) if item is not None]
    items = job.snapshot.items
    generation = getattr(items, "generation", items)
    complete = False
    if isinstance(generation, GenerationReader):
        complete = _look_through(generation, text, found, limit=request.limit)
    return BrowseReply([card(item) for item in found[: request.limit]], complete)


def card(item: Item) -> ItemCard:
    """What a list shows of an item."""
    return ItemCard(item.item_id, item.title, item.brand, item.color)


def _look_through(
    generation: GenerationReader, text: str, found: list[Item], *, limit: int
) -> bool:
    """Append what matches until there are enough; whether the rest need not be read."""
    until = time.monotonic() + MOST_SECONDS
    known = {item.item_id for item in found}
    for batch in generation.live_records(at_most=BLOCK):
        hits = batch.filter(_matches(batch, text)).slice(0, limit + 1)
        found.extend(item for item in items_of(hits) if item.item_id not in known)
        if len(found) >= limit:
            return True
        if time.monotonic() > until:
            return False
    return True


def _matches(batch: pa.RecordBatch, text: str) -> pa.Array:
    is_match = pc.starts_with(batch["item_id"], text, ignore_case=True)
    in_title = pa.repeat(pa.scalar(True), len(batch))
    for word in text.split():
        holds = pc.match_substring(batch["title"], word, ignore_case=True)
        in_title = pc.and_(in_title, holds)
    return pc.or_(is_match, in_title)
