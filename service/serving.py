"""Opening what CURRENT names: the bundle's graphs and its generation, verified, warmed, read in.

Nothing of an open pair changes afterwards. When to open the next one is `current_watch.py`'s, which
store lies behind the items `item_stores.py`'s.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from relevance.bundle import BundleManifest, read_bundle
from relevance.errors import BadBundle
from relevance.generation import Current, StorePaths, read_current, read_manifest
from relevance.late_interaction import quantise_query
from service.encoder import OnnxTokenEncoder
from service.execution import Execution, Provider
from service.item_stores import open_items, open_search, search_as_of_now
from service.open_graphs import OpenGraphs
from service.runtimes import check_runtimes
from service.scorer import open_scorer
from service.settings import Settings
from service.snapshot import Snapshot
from service.store.generation_reader import GenerationReader, open_generation
from service.store.item_store import ItemStore

WARMING_TEXTS = ("a", "red steel water bottle 24 oz for kids", "a " * 64)
WARMING_CANDIDATES = 512
PAGE, BLOCK = 4096, 64 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """An open bundle with one of its generations, and where the bundle lies.

    `created` is when the generation was made, in seconds since the epoch.
    """

    snapshot: Snapshot
    bundle_folder: Path
    created: float | None

    @property
    def name(self) -> str:
        """Two pairs of one name give the same answers."""
        items = self.snapshot.items
        return f"{self.snapshot.bundle.bundle_id}/{items.generation_id}/{items.sequence}"


def open_current(store: StorePaths) -> tuple[BundleManifest, GenerationReader]:
    """The generation CURRENT names and its bundle, both verified."""
    current = read_current(store)
    bundle = verified_bundle(store, current)
    return bundle, open_generation(store.generation(current.generation), bundle)


def verified_bundle(store: StorePaths, current: Current) -> BundleManifest:
    """The manifest of CURRENT's bundle; raises `BadBundle` where it is another one or damaged."""
    folder = store.bundle(current.bundle)
    bundle = read_bundle(folder)
    if bundle.bundle_id != current.bundle:
        raise BadBundle(f"{folder}: expected bundle {current.bundle}, got {bundle.bundle_id}")
    return bundle


def open_pair(
    settings: Settings, *, previous: Pair | None = None, graphs: OpenGraphs | None = None
) -> Pair:
    """Open and verify what CURRENT names; raises a `RelevanceError` where something is not right.

    What `previous` has open and CURRENT still names is taken over: a new generation of the same
    bundle costs no new graphs and keeps the query cache. `graphs` are open in other pairs.
    """
    store = StorePaths(settings.store)
    current = read_current(store)
    if previous is None or previous.snapshot.bundle.bundle_id != current.bundle:
        return _opened_anew(settings, store, current, graphs or OpenGraphs())
    bundle, items = previous.snapshot.bundle, previous.snapshot.items
    if items.generation_id == current.generation:
        known, newest = previous.snapshot.candidates, latest(items)
        candidates = search_as_of_now(settings, store, newest, known)
        if newest.sequence == items.sequence and candidates is known:
            return previous
        snapshot = replace(previous.snapshot, items=newest, candidates=candidates)
        return replace(previous, snapshot=snapshot)
    items = open_items(settings, store, current.generation, bundle)
    candidates = open_search(settings, store, items)
    return Pair(
        snapshot=replace(previous.snapshot, items=items, candidates=candidates),
        bundle_folder=previous.bundle_folder,
        created=_created(store, current),
    )


def latest(items: ItemStore) -> ItemStore:
    """The newest view of the same generation: `items` itself where no delta was appended."""
    newer = getattr(items, "latest", None)
    return items if newer is None else newer()


def item_count(items: ItemStore) -> int:
    """How many items can be scored: replaced and removed rows do not count where a store knows."""
    live = getattr(items, "live_count", None)
    return len(items.token_counts) if live is None else int(live())


def warm(pair: Pair) -> None:
    """Run each graph once for short and long inputs: first runs allocate, and are slow."""
    snapshot = pair.snapshot
    arena = snapshot.items.arena
    positions = np.arange(min(WARMING_CANDIDATES, len(arena)), dtype=np.int64)
    for text in WARMING_TEXTS:
        tokens = snapshot.encoder.encode(text, limit=snapshot.bundle.max_query_tokens)
        if len(tokens.vectors):
            snapshot.scorer.score(quantise_query(tokens.vectors), arena, positions)


def read_in(pair: Pair, *, max_bytes: int) -> int:
    """Touch a page after the other of the items' arrays; returns the bytes now in memory.

    Without it the first requests after a swap would wait for the disk, one page fault at a time.
    Pages are shared: the second worker finds them there. What every request reads comes first.
    """
    items, left = pair.snapshot.items, max_bytes
    index: tuple[np.ndarray, ...] = getattr(items, "index_arrays", tuple)()
    for array in (*index, items.token_counts, items.truncated, items.arena):
        left -= touch(array, left)
    return max_bytes - left


def touch(array: np.ndarray, most: int) -> int:
    """Read a page after the other of up to so many bytes of an array; how many they were."""
    flat = array.reshape(-1).view(np.uint8)[: max(most, 0)]
    for start in range(0, len(flat), BLOCK):  # NumPy lets other threads run during a block
        np.max(flat[start : start + BLOCK : PAGE])
    return len(flat)


def _opened_anew(
    settings: Settings, store: StorePaths, current: Current, graphs: OpenGraphs
) -> Pair:
    check_runtimes()
    bundle = verified_bundle(store, current)
    folder = store.bundle(bundle.bundle_id)
    opened = graphs.of(bundle)
    scorer, degraded = open_scorer(folder, bundle, opened=opened)
    items = open_items(settings, store, current.generation, bundle)
    execution = execution_of(settings)
    on_cpu = execution.provider is Provider.CPU
    snapshot = Snapshot(
        bundle=bundle,
        encoder=OnnxTokenEncoder.read(folder, bundle, execution, opened=opened),
        item_encoder=None if on_cpu else OnnxTokenEncoder.read(folder, bundle, opened=opened),
        scorer=scorer,
        items=items,
        query_cache=graphs.query_cache(bundle, settings.query_cache),
        candidates=open_search(settings, store, items),
        degraded=degraded,
    )
    return Pair(snapshot, folder, _created(store, current))


def execution_of(settings: Settings) -> Execution:
    """Where the settings want queries encoded."""
    return Execution(
        Provider(settings.provider),
        device=settings.cuda_device,
        memory_bytes=settings.cuda_memory_bytes,
    )


def _created(store: StorePaths, current: Current) -> float | None:
    written = read_manifest(store.generation(current.generation)).created
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        return None
