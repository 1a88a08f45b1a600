"""Loading many ready-made embeddings into Redis: estimated first, pipelined, never over newer.

Whatever is not there yet is set by plain `SET … NX`, at Redis's own pace; only what is there
goes through the script that compares versions.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import UInt8, UInt64

from relevance.domain import Item
from service.redis_tier.bulk import Pair
from service.redis_tier.capacity import Estimate, check_fits, estimate
from service.redis_tier.changes import ChangeStream
from service.redis_tier.item_json import pack_item
from service.redis_tier.record import pack
from service.redis_tier.tier import Outcome, RedisTier, Write, deletion

PIPELINE = 128  # items a round trip: half a megabyte of MiniLM rows
SAMPLE = 256


@dataclass(frozen=True, slots=True)
class ReadyItems:
    """Some items with the rows an arena holds, the hash of the text that gave them, and since when
    they are so (milliseconds since the epoch, or the shop's own versions)."""

    items: Sequence[Item]
    embeddings: UInt8[np.ndarray, "items rows dim"]
    token_counts: UInt8[np.ndarray, " items"]
    truncated: UInt8[np.ndarray, " items"]
    content_hashes: UInt64[np.ndarray, " items"]
    source_versions: UInt64[np.ndarray, " items"]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """`written` is new or newer than what was there, `same` was there already, `newer` stays as
    it stood in Redis."""

    written: int
    same: int
    newer: int
    estimate: Estimate


Progress = Callable[[int], object]


def load(
    tier: RedisTier,
    batches: Iterable[ReadyItems],
    *,
    items: int,
    announce: bool,
    progress: Progress = lambda items: None,
) -> LoadReport:
    """Write every item of the batches; raises `Unavailable` where they do not fit.

    `items` is how many will come. `announce` tells replicas of each; leave it out for a bundle
    that nobody serves yet. An interrupted load is begun again: what is there already stays.
    """
    changes = ChangeStream(tier.door, tier.keys.changes(tier.shape.bundle_id))
    coming = writes_of(tier, batches)
    first = next(coming, [])
    found = estimate_load(tier, first, items=items)
    check_fits(found, name=tier.door.name)
    outcomes: Counter[Outcome] = Counter()
    for block, done in _write_each(tier, chain([first], coming)):
        outcomes.update(done)
        if announce:
            new = (w.item_id for w, o in zip(block, done, strict=True) if o is Outcome.WRITTEN)
            changes.announce(list(new))
        progress(len(block))
    return LoadReport(
        written=outcomes[Outcome.WRITTEN],
        same=outcomes[Outcome.SAME],
        newer=outcomes[Outcome.NEWER_STANDS],
        estimate=found,
    )


def prune(
    tier: RedisTier,
    is_known: Callable[[Sequence[str]], Sequence[bool]],
    *,
    source_version: int,
    announce: bool,
) -> int:
    """Mark as deleted what Redis has and the generation has not; returns how many.

    What changed in Redis after `source_version` stays.
    """
    changes = ChangeStream(tier.door, tier.keys.changes(tier.shape.bundle_id))
    removed = 0
    for keys in tier.door.keys(tier.keys.all_rows(tier.shape.bundle_id)):
        ids = list(dict.fromkeys(tier.ids(keys)))
        unknown = [i for i, known in zip(ids, is_known(ids), strict=True) if not known]
        gone = [i for i, there in zip(unknown, tier.rows(unknown).is_found, strict=True) if there]
        writes = [deletion(tier.shape, i, source_version=source_version) for i in gone]
        done = [i for i, outcome in zip(gone, tier.write(writes), strict=True) if outcome]
        if announce:
            changes.announce(done)
        removed += len(done)
    return removed


def _write_each(
    tier: RedisTier, blocks: Iterable[list[Write]]
) -> Iterator[tuple[list[Write], list[Outcome]]]:
    """Each block and what became of its items."""
    under_way: deque[list[Write]] = deque()

    def pairs() -> Iterator[list[Pair]]:
        for block in blocks:
            under_way.append(block)
            yield pairs_of(tier, block)

    for set_now in tier.door.put_absent_each(pairs()):
        block = under_way.popleft()
        halves = zip(set_now[: len(block)], set_now[len(block) :], strict=True)
        done = [Outcome(row and fields) for row, fields in halves]
        rest = [at for at, outcome in enumerate(done) if not outcome]
        for at, outcome in zip(rest, tier.write([block[at] for at in rest]), strict=True):
            done[at] = outcome
        yield block, done


def pairs_of(tier: RedisTier, block: Sequence[Write]) -> list[Pair]:
    """The keys and values of a block: all records, then all fields."""
    bundle = tier.shape.bundle_id
    rows = [(tier.keys.rows(bundle, write.item_id), write.record) for write in block]
    return rows + [(tier.keys.item(bundle, write.item_id), write.fields) for write in block]


def estimate_load(tier: RedisTier, sample: Sequence[Write], *, items: int) -> Estimate:
    """What loading `items` like the sample takes, and what is free."""
    pairs = pairs_of(tier, sample[:SAMPLE])
    there = tier.door.values([key for key, _ in pairs])
    present = sum(value is not None for value in there) / max(1, len(pairs))
    return estimate(tier.door, pairs, items=items, present=present)


def writes_of(tier: RedisTier, batches: Iterable[ReadyItems]) -> Iterator[list[Write]]:
    """What loading these items writes, in blocks of one round trip."""
    for batch in batches:
        records = records_of(tier, batch)
        writes = [
            Write(item.item_id, record, pack_item(item))
            for item, record in zip(batch.items, records, strict=True)
        ]
        for start in range(0, len(writes), PIPELINE):
            yield writes[start : start + PIPELINE]


def records_of(tier: RedisTier, batch: ReadyItems) -> list[bytes]:
    """The items' records; numbers leave their arrays at once, one by one would cost as much."""
    columns = (
        batch.content_hashes.tolist(),
        batch.source_versions.tolist(),
        batch.token_counts.tolist(),
        (batch.truncated > 0).tolist(),
    )
    return [
        pack(
            tier.shape,
            rows,
            content_hash=content,
            source_version=version,
            token_count=count,
            truncated=is_cut,
        )
        for rows, content, version, count, is_cut in zip(batch.embeddings, *columns, strict=True)
    ]
