"""The parts of a `/score` request, each timed alone in a process of its own.

    python -m service.benchmark.parts STORE          one JSON line in, one out, until input ends

    {"encode": [query, …]}                            encoding and quantising each
    {"fetch": [[item_id, …], …]}                      looking up each list
    {"score": [[item_id, …], …], "queries": […]}      scoring each list, chunk by chunk
    {"dump": folder}                                  writes what a peer needs, see `dump`

The first three answer with seconds of time and seconds of CPU, one pair each. Lists of one, asked
one after the other, are timed as a request meets them: in a process that was just woken.

Nothing here is on the service's own path: it calls the same functions.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from relevance.domain import Item
from relevance.generation import StorePaths
from relevance.late_interaction import item_steps
from service.job import Job
from service.query import encode_query
from service.score import score_found
from service.serving import open_pair
from service.settings import read_settings
from service.snapshot import Snapshot
from service.store.found import find

Taken = tuple[float, float]


def main(store: Path) -> None:
    """Answer lines until there are none."""
    snapshot = open_pair(
        read_settings({"ELLM_STORE": str(store), "ELLM_QUERY_CACHE": "0"})
    ).snapshot
    for line in sys.stdin.buffer:
        reply = msgspec.json.encode(_answer(snapshot, store, msgspec.json.decode(line)))
        sys.stdout.buffer.write(reply + b"\n")
        sys.stdout.buffer.flush()


def encode(snapshot: Snapshot, queries: Sequence[str]) -> list[Taken]:
    """Each query from text to int8."""
    return [_taken(partial(encode_query, Job(snapshot), query)) for query in queries]


def fetch(snapshot: Snapshot, lists: Sequence[Sequence[str]]) -> list[Taken]:
    """Each look-up."""
    return [_taken(partial(find, snapshot.items, ids)) for ids in lists]


def score(
    snapshot: Snapshot, lists: Sequence[Sequence[str]], queries: Sequence[str]
) -> list[Taken]:
    """Scoring each look-up's rows with its encoded query."""
    taken = []
    for ids, query in zip(lists, queries, strict=True):
        job = Job(snapshot)
        encoded, found = encode_query(job, query), find(snapshot.items, ids)
        taken.append(_taken(partial(score_found, job, encoded, found)))
    return taken


def dump(snapshot: Snapshot, store: Path, folder: Path) -> dict[str, str]:
    """Embeddings as float32, how many are real, ids and texts; where the bundle lies.

    All in the order of the base's rows, items without a text left out.
    """
    items, bundle = snapshot.items, snapshot.bundle
    kept = list(_items(snapshot))
    ids = [item.item_id for item in kept]
    found = find(items, ids)
    rows = item_steps(found.arenas[0][found.row], bits=bundle.codec.bits).astype(np.float32)
    np.save(folder / "embeddings.npy", rows * np.float32(bundle.item_scale))
    (folder / "ids.json").write_bytes(msgspec.json.encode(ids))
    np.save(folder / "token_counts.npy", np.minimum(found.token_counts, rows.shape[1]))
    texts = [snapshot.codec.text(item) for item in kept]
    (folder / "texts.json").write_bytes(msgspec.json.encode(texts))
    return {"bundle": str(StorePaths(store).bundle(bundle.bundle_id))}


def _answer(snapshot: Snapshot, store: Path, asked: dict[str, Any]) -> object:
    if "encode" in asked:
        return encode(snapshot, asked["encode"])
    if "fetch" in asked:
        return fetch(snapshot, asked["fetch"])
    if "score" in asked:
        return score(snapshot, asked["score"], asked["queries"])
    return dump(snapshot, store, Path(asked["dump"]))


def _items(snapshot: Snapshot) -> Iterator[Item]:
    counts = snapshot.items.token_counts
    for row in np.flatnonzero(counts).tolist():
        yield snapshot.items.item(row)


def _taken(work: Callable[[], object]) -> Taken:
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - cpu


if __name__ == "__main__":
    main(Path(sys.argv[1]))
