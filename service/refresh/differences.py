"""What a catalogue has that the live generation has not, and the other way round."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from relevance.item_text import ItemText, item_text
from service.refresh.spool import Spool
from service.store.generation_reader import GenerationReader
from service.store.item_records import items_of, text_hash

ENCODE = -1  # no live row has what encoding the item would give


@dataclass(frozen=True, slots=True)
class Differences:
    """Per item of the catalogue: the live row whose embeddings are still right, or `ENCODE`.

    `is_changed` marks items that are new or differ in any field; `removed` holds ids.
    """

    rows: Int64[np.ndarray, " items"]
    is_changed: Bool[np.ndarray, " items"]
    removed: tuple[str, ...]
    added: int
    changed_text: int
    changed_fields: int

    @property
    def unchanged(self) -> int:
        """Items that are as they were."""
        return len(self.rows) - int(np.count_nonzero(self.is_changed))

    @property
    def encodings(self) -> int:
        """How many items must be encoded."""
        return int(np.count_nonzero(self.rows == ENCODE))

    @property
    def changes(self) -> int:
        """Puts and removals that lead from the live generation to the catalogue."""
        return int(np.count_nonzero(self.is_changed)) + len(self.removed)


def all_new(items: int) -> Differences:
    """The differences from nothing."""
    return Differences(
        rows=np.full(items, ENCODE, np.int64),
        is_changed=np.ones(items, np.bool_),
        removed=(),
        added=items,
        changed_text=0,
        changed_fields=0,
    )


def find_differences(spool: Spool, live: GenerationReader, template: ItemText) -> Differences:
    """Compare by content hashes; texts are made only of items with a changed field."""
    rows = np.full(len(spool), ENCODE, np.int64)
    is_changed = np.ones(len(spool), np.bool_)
    is_seen = np.zeros(len(live.token_counts), np.bool_)
    added = changed_text = 0
    for start, batch in spool.batches():
        found = live.rows_of(batch["item_id"].to_pylist())
        is_known = found >= 0
        is_seen[found[is_known]] = True
        added += int(np.count_nonzero(~is_known))
        known = np.flatnonzero(is_known)
        hashes = live.content_hashes(found[known])
        is_same = hashes[:, 1] == spool.hashes[start + known]
        is_changed[start + known[is_same]] = False
        rows[start + known] = found[known]
        differing = np.flatnonzero(~is_same)
        items = items_of(batch.take(known[differing]))
        texts = (text_hash(item_text(item, template)) for item in items)
        has_new_text = np.fromiter(texts, np.uint64, len(items)) != hashes[differing, 0]
        rows[start + known[differing[has_new_text]]] = ENCODE
        changed_text += int(np.count_nonzero(has_new_text))
    gone = live.live_rows()
    gone = gone[~is_seen[gone]]
    return Differences(
        rows=rows,
        is_changed=is_changed,
        removed=tuple(live.item_ids(gone)),
        added=added,
        changed_text=changed_text,
        changed_fields=int(np.count_nonzero(is_changed)) - added - changed_text,
    )
