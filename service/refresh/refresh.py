"""The refresh: encode, write, verify, name, switch. A failure anywhere leaves CURRENT as it was.

Reading catalogues is `relevance.records`', the files of a generation `service.store`'s.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from relevance.atomic import creating_folder
from relevance.errors import BadGeneration
from relevance.generation import EMBEDDINGS, StorePaths
from relevance.records import read_catalogue
from service.item_codec import ItemCodec
from service.refresh.encode import EncodedBatch, encode_catalogue, open_codec
from service.store.build import seal_generation, writing_files
from service.store.generation_reader import GenerationReader, open_generation
from service.store.publish import place_bundle, publish, writing

SAMPLE = 32

Progress = Callable[[Iterable[EncodedBatch], int], Iterator[EncodedBatch]]


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did; `bytes` is the size of the embeddings."""

    generation_id: str
    items: int
    cut: int
    no_text: int
    bytes: int
    seconds: float


def silently(batches: Iterable[EncodedBatch], items: int) -> Iterator[EncodedBatch]:
    """Progress that shows nothing."""
    yield from batches


def refresh(
    *, bundle: Path, items: Path, store: Path, workers: int, progress: Progress = silently
) -> RefreshReport:
    """Make and publish a generation of the catalogue file `items`.

    Raises `BadInput`, `BadBundle`, `BadGeneration` or, where another writer is at work,
    `Unavailable`.
    """
    started = time.monotonic()
    paths = StorePaths(store)
    with writing(paths):
        place, manifest = place_bundle(paths, bundle)
        codec = open_codec(place, manifest)
        catalogue = read_catalogue(items)
        created = datetime.now(UTC)
        generation_id = f"{created:%Y%m%d-%H%M%S-%f}-{manifest.bundle_id[:8]}"
        batches = encode_catalogue(catalogue, place, manifest, workers=workers)
        with creating_folder(paths.generation(generation_id)) as folder:
            with writing_files(folder) as writer:
                for batch, encoded in progress(batches, len(catalogue)):
                    writer.append(batch, encoded)
            seal_generation(
                folder,
                bundle=manifest,
                generation_id=generation_id,
                created=created.isoformat(timespec="seconds"),
            )
            written = open_generation(folder, manifest)
            verify(written, codec)
        publish(paths, generation_id)
    return _report(written, seconds=time.monotonic() - started)


def verify(written: GenerationReader, codec: ItemCodec, *, sample: int = SAMPLE) -> None:
    """Encode a sample again and compare bytes; raises `BadGeneration` naming the first item."""
    count = len(written.token_counts)
    for row in np.unique(np.linspace(0, count - 1, num=min(sample, count), dtype=np.int64)):
        item = written.item(int(row))
        again = codec.encode([codec.text(item)])
        same = (
            np.array_equal(again.embeddings[0], written.arena[row])
            and again.token_counts[0] == written.token_counts[row]
            and again.truncated[0] == written.truncated[row]
            and written.rows_of([item.item_id])[0] == row
        )
        if not same:
            raise BadGeneration(
                f"{EMBEDDINGS}: item `{item.item_id}` in row {row}: "
                "expected the bytes of encoding it again, got others"
            )


def _report(written: GenerationReader, *, seconds: float) -> RefreshReport:
    return RefreshReport(
        generation_id=written.generation_id,
        items=written.manifest.items,
        cut=int(np.count_nonzero(written.truncated)),
        no_text=int(np.count_nonzero(written.token_counts == 0)),
        bytes=written.manifest.files[EMBEDDINGS].bytes,
        seconds=seconds,
    )
