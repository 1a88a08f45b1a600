"""What `ellm bench store --ids` measures: the index of ids alone, at any number of them.

Ids are written, indexed and mapped by what a refresh and the service use; there are no embeddings
and no records, so a hundred million ids need five gigabytes of disk.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from relevance.generation import ID_BUCKETS, ID_HASHES, ID_OFFSETS, ID_ROWS, IDS
from service.benchmark.store_bench import check_free
from service.serving import touch
from service.store.build import IdsWriter
from service.store.flat_ids import FlatIds
from service.store.id_index import IdIndex
from service.store.index_files import map_id_index, write_id_index

BYTES_AN_ID = 45  # with the scratch of the build
IDS_PER_BATCH = 1 << 17
IDS_PER_LOOKUP = 1000
LOOKUPS = 200
WIDTH = 9  # digits: ids are as long as ASINs
SECONDS_BETWEEN_LOOKS = 0.05
PARTS = (IDS, ID_OFFSETS, ID_HASHES, ID_ROWS, ID_BUCKETS)


@dataclass(frozen=True, slots=True)
class IdFigures:
    """Seconds, milliseconds (of a thousand random ids) and MB of one run.

    Private memory is what only the process has; files' pages, which the kernel can drop and read
    again, are not in it. `first_lookup_ms` is the first of all and `early_lookup_ms` the median of
    those that follow, while most pages are met for the first time; the others come after the index
    was read in, as the service does before it answers.
    """

    ids: int
    bytes_an_id: float
    bytes_an_id_without_ids: float
    write_seconds: float
    build_seconds: float
    build_processor_seconds: float
    build_private_mb: float
    open_ms: float
    first_lookup_ms: float
    early_lookup_ms: float
    read_in_seconds: float
    lookup_ms: float
    lookup_p99_ms: float
    unknown_lookup_ms: float
    lookup_private_mb: float


def measure_ids(folder: Path, *, ids: int, say: Callable[[str], object]) -> IdFigures:
    """Measure in an empty folder, which is left with the files of the index."""
    check_free(folder, BYTES_AN_ID * ids)
    say("write the ids")
    started = time.perf_counter()
    _write_ids(folder, ids)
    written = time.perf_counter() - started
    say("build the index")
    built = _alone(_build, folder, ids)
    say("open and look up")
    seen = _alone(_look, folder, ids)
    sizes = {name: (folder / name).stat().st_size for name in PARTS}
    own = sizes[IDS] + sizes[ID_OFFSETS]
    return IdFigures(
        ids=ids,
        bytes_an_id=sum(sizes.values()) / ids,
        bytes_an_id_without_ids=(sum(sizes.values()) - own) / ids,
        write_seconds=written,
        **built,
        **seen,
    )


def _alone(
    work: Callable[[Path, int], dict[str, float]], folder: Path, ids: int
) -> dict[str, float]:
    """Done in a process of its own, whose private memory is then the work's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (folder, ids))


def _write_ids(folder: Path, ids: int) -> None:
    with ExitStack() as files:
        writer = IdsWriter(folder, files)
        for start in range(0, ids, IDS_PER_BATCH):
            writer.append(_made_up(np.arange(start, min(start + IDS_PER_BATCH, ids))))
    for name in (IDS, ID_OFFSETS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _made_up(numbers: np.ndarray) -> FlatIds:
    """`B` and the digits of each number; not in the order of their hashes."""
    digits = numbers[:, None] // 10 ** np.arange(WIDTH - 1, -1, -1) % 10 + ord("0")
    content = np.insert(digits, 0, ord("B"), axis=1).astype(np.uint8)
    offsets = np.arange(len(numbers) + 1, dtype=np.uint64) * np.uint64(WIDTH + 1)
    return FlatIds(content.reshape(-1), offsets)


def _build(folder: Path, ids: int) -> dict[str, float]:
    started, before = time.perf_counter(), time.process_time()
    with _watching_memory() as most:
        write_id_index(folder)
    return {
        "build_seconds": time.perf_counter() - started,
        "build_processor_seconds": time.process_time() - before,
        "build_private_mb": most(),
    }


def _look(folder: Path, ids: int) -> dict[str, float]:
    random = np.random.default_rng(1)
    before, started = _private_mb(), time.perf_counter()
    index = map_id_index(folder, ids)
    opened = time.perf_counter() - started
    first, *early = _lookups(index, random, range(ids))
    started = time.perf_counter()
    for array in (index.buckets, index.hashes, index.entries, index.ids.offsets, index.ids.content):
        touch(array, array.nbytes)
    read_in = time.perf_counter() - started
    known = _lookups(index, random, range(ids))
    unknown = _lookups(index, random, range(ids, 10**WIDTH))
    return {
        "open_ms": 1e3 * opened,
        "first_lookup_ms": first,
        "early_lookup_ms": median(early),
        "read_in_seconds": read_in,
        "lookup_ms": median(known),
        "lookup_p99_ms": float(np.quantile(known, 0.99)),
        "unknown_lookup_ms": median(unknown),
        "lookup_private_mb": _private_mb() - before,
    }


def _lookups(index: IdIndex, random: np.random.Generator, numbers: range) -> list[float]:
    """Milliseconds of each look-up of random ids among some; the rows found are checked."""
    took = []
    for _ in range(LOOKUPS):
        chosen = random.integers(numbers.start, numbers.stop, IDS_PER_LOOKUP)
        asked = [f"B{number:0{WIDTH}d}" for number in chosen.tolist()]
        started = time.perf_counter()
        rows = index.rows_of(asked)
        took.append(1e3 * (time.perf_counter() - started))
        if not np.array_equal(rows, np.where(chosen < len(index.hashes), chosen, -1)):
            raise AssertionError("the index found other rows than the ids have")
    return took


@contextmanager
def _watching_memory() -> Iterator[Callable[[], float]]:
    """The most private memory during a block, above that at its start; looked at now and then."""
    start, seen, ended = _private_mb(), [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            seen.append(_private_mb() - start)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: max(seen)
    finally:
        ended.set()
        watcher.join()


def _private_mb() -> float:
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) / 1e3
