"""A generation out of Redis's records: how an empty replica comes to its arena.

The place in the stream is taken before the first record is read, so that following from there
misses nothing. A damaged record, or one without its fields, is left out and counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from relevance.atomic import creating_folder
from relevance.bundle import BundleManifest
from relevance.errors import Unavailable
from relevance.generation import StorePaths
from service.item_codec import EncodedItems
from service.redis_tier.changes import ChangeStream
from service.redis_tier.replica import ITEMS_A_STEP, open_replica
from service.redis_tier.tier import RedisTier
from service.store.build import GenerationWriter, seal_generation, writing_files
from service.store.item_records import record_batch
from service.store.publish import place_bundle, publish, writing

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class FillReport:
    """What filling a store gave; `left_out` records could not be trusted."""

    generation_id: str
    items: int
    left_out: int


def fill(
    tier: RedisTier, root: Path, bundle_folder: Path, *, progress: Progress = lambda items: None
) -> FillReport:
    """Make and publish a generation of every record of the tier's bundle.

    Raises `Unavailable` where Redis has none, or fails; the store then answers as before.
    """
    store = StorePaths(root)
    with writing(store):
        _, bundle = place_bundle(store, bundle_folder)
        stream = ChangeStream(tier.door, tier.keys.changes(bundle.bundle_id))
        begun, created = stream.newest(), datetime.now(UTC)
        generation_id = f"{created:%Y%m%d-%H%M%S-%f}-{bundle.bundle_id[:8]}"
        with creating_folder(store.generation(generation_id)) as folder:
            with writing_files(folder, item_bytes=bundle.rows * bundle.row_bytes) as writer:
                items, left_out = _write(tier, writer, progress)
            if not items:
                raise Unavailable(
                    f"{tier.door.name}: no record of bundle {bundle.bundle_id}\n"
                    "hint: `ellm redis load` writes them"
                )
            _seal(folder, bundle, generation_id, created, writer)
        publish(store, generation_id)
    open_replica(tier, root, bundle).follow_from(begun)
    return FillReport(generation_id, items, left_out)


def _write(tier: RedisTier, writer: GenerationWriter, progress: Progress) -> tuple[int, int]:
    written = left_out = 0
    for ids in _distinct_ids(tier):
        block, items = tier.rows(ids), tier.items(ids)
        kept = [at for at, item in enumerate(items) if item is not None and block.is_found[at]]
        writer.append_records(
            record_batch([item for at in kept if (item := items[at]) is not None]),
            EncodedItems(block.rows[kept], block.token_counts[kept], block.truncated[kept]),
            block.content_hashes[kept],
        )
        written += len(kept)
        left_out += len(ids) - len(kept) - int(np.count_nonzero(block.is_deleted))
        progress(len(ids))
    return written, left_out


def _distinct_ids(tier: RedisTier) -> Iterator[list[str]]:
    """Every id once: SCAN may name a key twice, so all are held (some 150 bytes each)."""
    seen: set[bytes] = set()
    for keys in tier.door.keys(tier.keys.all_rows(tier.shape.bundle_id)):
        new = [key for key in dict.fromkeys(keys) if key not in seen]
        seen.update(new)
        for start in range(0, len(new), ITEMS_A_STEP):
            yield tier.ids(new[start : start + ITEMS_A_STEP])


def _seal(
    folder: Path,
    bundle: BundleManifest,
    generation_id: str,
    created: datetime,
    writer: GenerationWriter,
) -> None:
    seal_generation(
        folder,
        bundle=bundle,
        generation_id=generation_id,
        created=created.isoformat(timespec="seconds"),
        digests=writer.digests,
    )
