"""Items whose rows do not fit here: a bounded cache over Redis, one pipelined fetch a request.

A request gets a private copy of its candidates' rows, so nobody evicts what is being scored.
Where Redis is gone, slow, lies or lacks an item, a local generation answers if there is one, and
the reply says so; an item that Redis knows to be deleted stays deleted. Which records changed comes
from `invalidation.py`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Self

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from relevance.domain import Item
from relevance.errors import Unavailable
from service.redis_tier.breaker import Breaker
from service.redis_tier.record import Block
from service.redis_tier.tier import RedisTier
from service.store.found import UNKNOWN, Found, find, stored_items
from service.store.item_store import ItemStore

REDIS_UNAVAILABLE = "redis_unavailable"
REDIS_DAMAGED = "redis_damaged"  # records were there and could not be trusted
REDIS_INCOMPLETE = "redis_incomplete"  # the local generation has items that Redis lacks


class CachedItems:
    """An `ItemStore` over Redis with room for `capacity` items; safe to share between threads.

    It has no arena of its own to be read row by row: `find` gives a request its rows. Of Redis's
    records only those of one bundle are ever seen. `local` answers where Redis does not.
    """

    def __init__(
        self,
        tier: RedisTier,
        *,
        capacity: int,
        generation_id: str,
        local: ItemStore | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        shape = tier.shape
        self._tier = tier
        self._local = local
        self._breaker = breaker or Breaker()
        self._lock = Lock()
        self._slots = np.empty((capacity, shape.rows, shape.dim), np.uint8)  # pages come with use
        self._counts = np.empty((capacity, 2), np.uint8)  # tokens, truncated
        self._slot_of: OrderedDict[str, int] = OrderedDict()  # the one unused for longest first
        self._free = list(range(capacity - 1, -1, -1))
        self._fetching: list[set[str]] = []
        self.generation_id = generation_id
        self.sequence = 0

    @property
    def arena(self) -> UInt8[np.ndarray, "items rows dim"]:
        """No rows: those of a request come from `find`."""
        return self._slots[:0]

    @property
    def token_counts(self) -> UInt8[np.ndarray, " items"]:
        """None either."""
        return self._counts[:0, 0]

    @property
    def truncated(self) -> UInt8[np.ndarray, " items"]:
        """None either."""
        return self._counts[:0, 1]

    def __len__(self) -> int:
        return len(self._slot_of)

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """No item has a row of its own here."""
        return np.full(len(item_ids), UNKNOWN, np.int64)

    def item(self, row: int) -> Item:
        """There is no row to ask for; `stored_items` asks by id."""
        raise IndexError(f"row {row}: items over Redis are asked for by id")

    def latest(self) -> Self:
        """This cache, with the local generation behind it as of now."""
        newer = getattr(self._local, "latest", None)
        if newer is not None:
            self._local = newer()
        return self

    def stored_items(self, item_ids: Sequence[str]) -> list[Item | None]:
        """The catalogue's fields of some items, None where they cannot be had."""
        items = self._stored_there(item_ids)
        if self._local is None or None not in items:
            return items
        lacking = [item_id for item_id, item in zip(item_ids, items, strict=True) if item is None]
        here = dict(zip(lacking, stored_items(self._local, lacking), strict=True))
        for item_id in self._deleted([item_id for item_id in lacking if here[item_id] is not None]):
            here[item_id] = None
        return [item or here[item_id] for item_id, item in zip(item_ids, items, strict=True)]

    def find(self, item_ids: Sequence[str]) -> Found:
        """The rows of a request's candidates: cached, fetched, or the local generation's."""
        distinct = list(dict.fromkeys(item_ids))
        block, is_cached = self._copied(distinct)
        missing = np.flatnonzero(~is_cached).tolist()
        fetched = self._fetch([distinct[at] for at in missing])
        if fetched is not None:
            for filled, come in zip(_of_request(block), _of_request(fetched), strict=True):
                filled[missing] = come
        place = {item_id: at for at, item_id in enumerate(distinct)}
        row = np.fromiter((place[item_id] for item_id in item_ids), np.int64, len(item_ids))
        found = Found(
            arenas=(block.rows,),
            arena=np.where(block.is_found[row], 0, UNKNOWN).astype(np.int16),
            row=row,
            token_counts=block.token_counts[row],
            truncated=block.truncated[row],
            degraded=_reasons(fetched),
        )
        return self._completed(found, item_ids, is_deleted=block.is_deleted[row])

    def invalidate(self, item_ids: Sequence[str]) -> None:
        """Forget items whose records changed, those on their way from Redis included."""
        with self._lock:
            for item_id in item_ids:
                slot = self._slot_of.pop(item_id, None)
                if slot is not None:
                    self._free.append(slot)
            for under_way in self._fetching:
                under_way.update(item_ids)
            self.sequence += len(item_ids)

    def forget_all(self) -> None:
        """Forget everything: changes may have been missed."""
        with self._lock:
            known = list(self._slot_of)
        self.invalidate(known)

    def _copied(self, item_ids: list[str]) -> tuple[Block, np.ndarray]:
        """A block with the rows of cached items; and which they are."""
        block, count = Block.empty(self._tier.shape, len(item_ids)), len(item_ids)
        with self._lock:
            slots = np.fromiter((self._slot_of.get(i, -1) for i in item_ids), np.int64, count)
            cached = np.flatnonzero(slots >= 0)
            for at in cached.tolist():
                self._slot_of.move_to_end(item_ids[at])
            block.rows[cached] = self._slots[slots[cached]]
            counts = self._counts[slots[cached]]
        block.token_counts[cached], block.truncated[cached] = counts[:, 0], counts[:, 1] > 0
        block.is_found[cached] = True
        return block, slots >= 0

    def _deleted(self, item_ids: list[str]) -> list[str]:
        """Those that Redis knows to be gone."""
        block = self._fetch(item_ids)
        gone = [] if block is None else np.flatnonzero(block.is_deleted).tolist()
        return [item_ids[at] for at in gone]

    def _stored_there(self, item_ids: Sequence[str]) -> list[Item | None]:
        if not self._breaker.lets_pass():
            return [None] * len(item_ids)
        try:
            items = self._tier.items(item_ids)
        except Unavailable:
            self._breaker.failed()
            return [None] * len(item_ids)
        self._breaker.succeeded()
        return items

    def _fetch(self, item_ids: list[str]) -> Block | None:
        """Records from Redis, also put into the cache; None where Redis cannot be had."""
        if not item_ids:
            return Block.empty(self._tier.shape, 0)
        if not self._breaker.lets_pass():
            return None
        changed_meanwhile: set[str] = set()
        with self._lock:
            self._fetching.append(changed_meanwhile)
        try:
            block = self._tier.rows(item_ids)
        except Unavailable:
            self._breaker.failed()
            return None
        finally:
            with self._lock:
                self._fetching = [s for s in self._fetching if s is not changed_meanwhile]
        self._breaker.succeeded()
        self._keep(item_ids, block, changed_meanwhile)
        return block

    def _keep(self, item_ids: list[str], block: Block, changed_meanwhile: set[str]) -> None:
        with self._lock:
            for at in np.flatnonzero(block.is_found)[: len(self._slots)].tolist():
                item_id = item_ids[at]
                if item_id in changed_meanwhile or item_id in self._slot_of:
                    continue
                slot = self._free_slot()
                self._slots[slot] = block.rows[at]
                self._counts[slot] = block.token_counts[at], block.truncated[at]
                self._slot_of[item_id] = slot

    def _free_slot(self) -> int:
        return self._free.pop() if self._free else self._slot_of.popitem(last=False)[1]

    def _completed(
        self, found: Found, item_ids: Sequence[str], *, is_deleted: Bool[np.ndarray, " candidates"]
    ) -> Found:
        """The local generation's rows where Redis gave none, unless it knows that they are gone."""
        lacking = np.flatnonzero(~found.is_known & ~is_deleted)
        if self._local is None or not len(lacking):
            return found
        local = find(self._local, [item_ids[at] for at in lacking.tolist()])
        arena, row = found.arena.copy(), found.row.copy()
        counts, truncated = found.token_counts.copy(), found.truncated.copy()
        arena[lacking] = np.where(local.is_known, local.arena + len(found.arenas), UNKNOWN)
        row[lacking] = local.row
        counts[lacking], truncated[lacking] = local.token_counts, local.truncated
        incomplete = (REDIS_INCOMPLETE,) if local.is_known.any() else ()
        return Found(
            arenas=(*found.arenas, *local.arenas),
            arena=arena,
            row=row,
            token_counts=counts,
            truncated=truncated,
            degraded=(*(found.degraded or incomplete), *local.degraded),
        )


def _of_request(block: Block) -> tuple[np.ndarray, ...]:
    """What of each record a request reads."""
    flags = (block.truncated, block.is_found, block.is_deleted)
    return block.rows, block.token_counts, *flags


def _reasons(fetched: Block | None) -> tuple[str, ...]:
    """What Redis's answer says against it; None stands for no answer."""
    if fetched is None:
        return (REDIS_UNAVAILABLE,)
    return (REDIS_DAMAGED,) if fetched.is_refused.any() else ()
