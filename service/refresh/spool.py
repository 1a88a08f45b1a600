"""A catalogue laid down whole before anything is encoded: its records as a generation keeps them.

So the number of items and the differences from what is live are known first, standard input can
be read like a file, and a repeated id is found in seconds and not after hours of encoding.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from jaxtyping import Int64, UInt64

from relevance.errors import BadInput
from relevance.generation import ITEMS
from service.refresh.catalogue_source import CatalogueBatch
from service.store.build import ITEMS_PER_RECORD_BATCH, writing_records
from service.store.generation_reader import GenerationReader
from service.store.index_files import repeated_entries
from service.store.item_records import record_hashes

HASHES = "record_hashes.u64"  # of each record, beside the generation's own files


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder with items.arrow, the ids, and the hash of each record."""

    folder: Path
    hashes: UInt64[np.ndarray, " items"]
    digest: str

    def __len__(self) -> int:
        return len(self.hashes)

    def batches(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The record batches and the place of each one's first record, mapped one at a time."""
        start = 0
        with pa.memory_map(str(self.folder / ITEMS)) as source:
            file = pa.ipc.open_file(source)
            for at in range(file.num_record_batches):
                batch = file.get_batch(at)
                yield start, batch
                start += len(batch)

    def records_at(
        self, places: Int64[np.ndarray, " places"], *, at_most: int
    ) -> Iterator[tuple[Int64[np.ndarray, " places"], pa.RecordBatch]]:
        """The records at ascending places, at most so many at a time."""
        for start, batch in self.batches():
            low, high = np.searchsorted(places, (start, start + len(batch)))
            for first in range(low, high, at_most):
                wanted = places[first : min(first + at_most, high)]
                yield wanted, batch.take(pa.array(wanted - start))


def spool_catalogue(folder: Path, source: Iterable[CatalogueBatch]) -> Spool:
    """Lay a catalogue down in `folder`, made anew; of records with one id and title the first.

    Raises `BadInput` where one id stands for two different titles, naming both rows.
    """
    _make_anew(folder)
    origins: list[tuple[int, Path, int]] = []
    hashes = _write(folder, _noting(source, origins))
    repeated = list(repeated_entries(folder))
    if repeated:
        _check_titles(folder, repeated, origins)
        hashes = _without(folder, hashes, {later for _, later in _all_later(repeated)})
    hashes.tofile(folder / HASHES)
    return Spool(folder, hashes, xxhash.xxh3_128_hexdigest(hashes.data))


def spool_generation(folder: Path, live: GenerationReader) -> Spool:
    """Lay down what a generation holds, deltas applied, in the order of its rows."""
    _make_anew(folder)
    hashes = _write(folder, live.live_records(at_most=ITEMS_PER_RECORD_BATCH))
    hashes.tofile(folder / HASHES)
    return Spool(folder, hashes, xxhash.xxh3_128_hexdigest(hashes.data))


def _noting(
    source: Iterable[CatalogueBatch], origins: list[tuple[int, Path, int]]
) -> Iterator[pa.RecordBatch]:
    place = 0
    for batch in source:
        if not origins or origins[-1][1] != batch.path:
            origins.append((place, batch.path, batch.first_row))
        place += len(batch.records)
        yield batch.records


def _write(folder: Path, batches: Iterable[pa.RecordBatch]) -> UInt64[np.ndarray, " items"]:
    hashes = [np.empty(0, np.uint64)]
    with writing_records(folder) as writer:
        for batch in batches:
            writer.append(batch)
            hashes.append(record_hashes(batch))
    if not writer.items:
        raise BadInput("expected at least one item, got an empty catalogue")
    return np.concatenate(hashes)


def _check_titles(
    folder: Path, repeated: list[tuple[int, int]], origins: list[tuple[int, Path, int]]
) -> None:
    with pa.memory_map(str(folder / ITEMS)) as source:
        table = pa.ipc.open_file(source).read_all()
        for one, other in repeated:
            first, later = sorted((one, other))
            titles = [table["title"][place].as_py() for place in (first, later)]
            if titles[0] != titles[1]:
                path, row = _origin(later, origins)
                item_id = table["item_id"][later].as_py()
                raise BadInput(
                    f"{path}: row {row}: item_id `{item_id}` has the title {titles[1]!r}, "
                    f"but {titles[0]!r} in {_where(first, path, origins)}"
                )


def _all_later(repeated: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(min(pair), max(pair)) for pair in repeated]


def _origin(place: int, origins: list[tuple[int, Path, int]]) -> tuple[Path, int]:
    start, path, row = [origin for origin in origins if origin[0] <= place][-1]
    return path, row + place - start


def _where(place: int, said: Path, origins: list[tuple[int, Path, int]]) -> str:
    path, row = _origin(place, origins)
    return f"row {row}" if path == said else f"row {row} of {path}"


def _without(
    folder: Path, hashes: UInt64[np.ndarray, " items"], dropped: set[int]
) -> UInt64[np.ndarray, " items"]:
    """Lay the records down again without some."""
    kept = np.setdiff1d(np.arange(len(hashes)), np.fromiter(dropped, np.int64, len(dropped)))
    before = folder.with_name(f"{folder.name}.repeated")
    folder.rename(before)
    _make_anew(folder)
    old = Spool(before, hashes, "")
    _write(folder, (batch for _, batch in old.records_at(kept, at_most=len(hashes))))
    shutil.rmtree(before)
    return hashes[kept]


def _make_anew(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
