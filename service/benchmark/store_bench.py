"""What `ellm bench store` measures: loading, opening, looking up, and a refresh without a change.

Items and embeddings are made up; nothing is encoded. Every part works on the same disk and in one
run, so that ratios hold where seconds do not.
"""

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.generation import StorePaths
from relevance.item_text import ItemText
from service.item_codec import EncodedItems
from service.refresh.catalogue_source import read_catalogue_batches
from service.refresh.plan import DEFAULTS, make_plan
from service.refresh.spool import spool_catalogue
from service.store.build import seal_generation, writing_files
from service.store.delta_log import append_to
from service.store.generation_reader import GenerationReader, open_generation
from service.store.item_records import SCHEMA, text_hash
from service.store.publish import name_generation
from service.store.segment import Changes

ROWS, DIM = 32, 128
BLOCK = 4096
IDS_PER_LOOKUP = 1000
LOOKUPS = 200
DELTA_ITEMS = 10_000
GENERATION = "bench"


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """Seconds, milliseconds (median and 99th of a hundred), MB and ratios of one run."""

    items: int
    plain_write_seconds: float
    load_seconds: float
    load_of_plain_write: float
    first_open_seconds: float
    open_seconds: float
    private_mb: float
    lookup_ms: float
    lookup_p99_ms: float
    lookup_and_gather_ms: float
    lookup_with_deltas_ms: float
    read_catalogue_seconds: float
    unchanged_refresh_seconds: float
    unchanged_items_per_second: float


def measure_store(folder: Path, *, items: int, say: Callable[[str], object]) -> StoreFigures:
    """Measure in an empty folder, which is left empty; takes some 3 times the arena's bytes."""
    check_free(folder, 3 * items * ROWS * DIM)
    bundle, store = made_up_bundle(), StorePaths(folder / "store")
    say("plain write")
    plain = _timed(lambda: _write_plain(folder / "plain", items))
    (folder / "plain").unlink()
    say("load")
    load = _timed(lambda: _load(store, bundle, items))
    say("open and look up")
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # private memory needs a fresh one
        seen = pool.apply(_look, (store.root, bundle, items))
    say("refresh without a change")
    _write_catalogue(folder / "items.parquet", items)
    read = _timed(lambda: _read_only(folder / "items.parquet"))
    unchanged = _timed(lambda: _refresh_unchanged(folder, store, bundle))
    shutil.rmtree(store.root)
    (folder / "items.parquet").unlink()
    return StoreFigures(
        items=items,
        plain_write_seconds=plain,
        load_seconds=load,
        load_of_plain_write=plain / load,
        **seen,
        read_catalogue_seconds=read,
        unchanged_refresh_seconds=unchanged,
        unchanged_items_per_second=items / unchanged,
    )


def check_free(folder: Path, needed: int) -> None:
    """Raise `BadInput` unless so many bytes are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BadInput(f"{folder}: expected {needed / 1e9:.1f} GB free, got {free / 1e9:.1f}")


def made_up_bundle() -> BundleManifest:
    """A manifest of the usual shape; no graph belongs to it."""
    return BundleManifest(
        bundle_id="0" * 16,
        dim=DIM,
        max_query_tokens=16,
        max_item_tokens=ROWS,
        item_text=ItemText.TITLE,
        item_scale=0.003,
        logit_weight=12.0,
        logit_bias=-4.0,
        threshold=0.5,
        calibration="human",
        files={},
        parity={},
        source={},
    )


def item_id(at: int) -> str:
    """The id of item number `at`; ids are not in the order of their hashes."""
    return f"B{at:09d}"


def _title(at: int) -> str:
    return f"Steel water bottle {at % 977} with a handle, size {at % 13}, number {at}"


def _blocks(items: int) -> Iterator[tuple[int, EncodedItems]]:
    random = np.random.default_rng(0)
    made = random.integers(1, 255, (4 * BLOCK, ROWS, DIM), np.uint8)
    for start in range(0, items, BLOCK):
        count, at = min(BLOCK, items - start), start % (4 * BLOCK)
        yield (
            start,
            EncodedItems(
                made[at : at + count], np.full(count, 20, np.uint8), np.zeros(count, np.bool_)
            ),
        )


def _records(start: int, count: int) -> pa.RecordBatch:
    numbers = range(start, start + count)
    empty = pa.array([""] * count)
    no_pairs = pa.array([[]] * count, SCHEMA.field("attributes").type)
    ids = pa.array([item_id(at) for at in numbers])
    titles = pa.array([_title(at) for at in numbers])
    return pa.RecordBatch.from_arrays([ids, titles, *[empty] * 5, no_pairs], schema=SCHEMA)


def _write_plain(path: Path, items: int) -> None:
    with path.open("wb", buffering=0) as file:
        for _, encoded in _blocks(items):
            file.write(encoded.embeddings.data)
        os.fsync(file.fileno())


def _load(store: StorePaths, bundle: BundleManifest, items: int) -> None:
    folder = store.root / "work" / GENERATION
    folder.mkdir(parents=True)
    with writing_files(folder, item_bytes=ROWS * DIM, expected=items) as writer:
        for start, encoded in _blocks(items):
            records = _records(start, len(encoded))
            texts = records["title"].to_pylist()
            hashes = np.fromiter(map(text_hash, texts), np.uint64, len(texts))
            writer.append_records(records, encoded, hashes)
    seal_generation(
        folder, bundle=bundle, generation_id=GENERATION, created="", digests=writer.digests
    )
    name_generation(store, folder)


def _look(root: Path, bundle: BundleManifest, items: int) -> dict[str, float]:
    store = StorePaths(root)
    folder = store.generation(GENERATION)
    random = np.random.default_rng(1)
    first = _timed(lambda: open_generation(folder, bundle))
    before = _private_mb()
    started = time.perf_counter()
    reader = open_generation(folder, bundle)
    opened = time.perf_counter() - started
    bare, gathering = _lookups(reader, items, random), _gathers(reader, items, random)
    private = _private_mb() - before
    _append(store, bundle, items)
    with_deltas = _lookups(reader.latest(), items, random)
    return {
        "first_open_seconds": first,
        "open_seconds": opened,
        "private_mb": private,
        "lookup_ms": median(bare),
        "lookup_p99_ms": float(np.quantile(bare, 0.99)),
        "lookup_and_gather_ms": median(gathering),
        "lookup_with_deltas_ms": median(with_deltas),
    }


def _asked(items: int, random: np.random.Generator) -> list[str]:
    return [item_id(at) for at in random.integers(0, items, IDS_PER_LOOKUP).tolist()]


def _lookups(reader: GenerationReader, items: int, random: np.random.Generator) -> list[float]:
    asked = [_asked(items, random) for _ in range(LOOKUPS)]
    return [1e3 * _timed(lambda ids=ids: reader.rows_of(ids)) for ids in asked]  # type: ignore[misc]


def _gathers(reader: GenerationReader, items: int, random: np.random.Generator) -> list[float]:
    asked = [_asked(items, random) for _ in range(LOOKUPS)]
    return [
        1e3 * _timed(lambda ids=ids: reader.arena[reader.rows_of(ids)])  # type: ignore[misc]
        for ids in asked
    ]


def _append(store: StorePaths, bundle: BundleManifest, items: int) -> None:
    count = min(DELTA_ITEMS, items)
    changed = [Item(item_id(7 * at % items), f"New title {at}") for at in range(count)]
    changed = list({item.item_id: item for item in changed}.values())
    _, block = next(_blocks(BLOCK))
    rows = np.arange(len(changed)) % BLOCK
    encoded = EncodedItems(block.embeddings[rows], block.token_counts[rows], block.truncated[rows])
    changes = Changes.of(changed, encoded, [item.title for item in changed])
    append_to(store, GENERATION, [changes], bundle_id=bundle.bundle_id)


def _write_catalogue(path: Path, items: int) -> None:
    schema = pa.schema({"item_id": pa.string(), "title": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, items, BLOCK * 16):
            records = _records(start, min(BLOCK * 16, items - start))
            writer.write_table(pa.Table.from_batches([records]).select(schema.names))


def _read_only(path: Path) -> None:
    with pq.ParquetFile(path) as file:
        for _ in file.iter_batches():
            pass


def _refresh_unchanged(folder: Path, store: StorePaths, bundle: BundleManifest) -> None:
    shutil.rmtree(store.deltas(GENERATION))
    live = open_generation(store.generation(GENERATION), bundle)
    batches = read_catalogue_batches(folder / "items.parquet", scratch=folder)
    spool = spool_catalogue(folder / "spool", batches)
    plan = make_plan(spool, live, bundle, DEFAULTS)
    shutil.rmtree(spool.folder)
    if plan.differences.changes:
        raise AssertionError(f"expected no change, got {plan.differences.changes}")


def _private_mb() -> float:
    """Memory only this process has; a mapped file's pages are clean and can be had again."""
    with open("/proc/self/smaps_rollup") as file:
        fields = [line.split() for line in file]
    return sum(int(f[1]) for f in fields if f[0] == "Private_Dirty:") / 1e3


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
