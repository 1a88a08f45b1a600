"""Encoding a catalogue in several processes, in order, the same bytes whatever their number.

Each process encodes one text at a time on one thread; that is also how inline items are encoded.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import Unavailable
from relevance.item_text import item_text
from service.encoder import OnnxTokenEncoder
from service.item_codec import EncodedItems, ItemCodec

ITEMS_PER_BATCH = 64  # a quarter of a second of MiniLM, a quarter of a megabyte back
BATCHES_AHEAD = 4  # per process: nobody waits for work, and memory stays bounded

EncodedBatch = tuple[Sequence[Item], EncodedItems]


def open_codec(folder: Path, bundle: BundleManifest) -> ItemCodec:
    """The codec of a verified bundle."""
    return ItemCodec(OnnxTokenEncoder.read(folder, bundle), bundle)


def encode_catalogue(
    items: Sequence[Item], folder: Path, bundle: BundleManifest, *, workers: int
) -> Iterator[EncodedBatch]:
    """Every item with its rows, batch after batch in the catalogue's order.

    Raises `Unavailable` where an encoding process dies.
    """
    batches = (
        items[start : start + ITEMS_PER_BATCH] for start in range(0, len(items), ITEMS_PER_BATCH)
    )
    if workers == 1:
        codec = open_codec(folder, bundle)
        return ((batch, codec.encode(_texts(batch, bundle))) for batch in batches)
    return _encode_in_processes(batches, folder, bundle, workers=workers)


def _encode_in_processes(
    batches: Iterator[Sequence[Item]], folder: Path, bundle: BundleManifest, *, workers: int
) -> Iterator[EncodedBatch]:
    # spawn: a forked ONNX Runtime or tokenizer may hang on locks its threads held.
    context = multiprocessing.get_context("spawn")
    ahead: deque[tuple[Sequence[Item], Future[EncodedItems]]] = deque()
    with ProcessPoolExecutor(workers, context, _open_in_process, (folder, bundle)) as pool:
        try:
            for batch in batches:
                ahead.append((batch, pool.submit(_encode_in_process, _texts(batch, bundle))))
                if len(ahead) >= BATCHES_AHEAD * workers:
                    yield _next(ahead)
            while ahead:
                yield _next(ahead)
        except BrokenProcessPool as fault:
            raise Unavailable(
                "an encoding process died\nhint: out of memory? Try fewer --workers"
            ) from fault
        finally:
            pool.shutdown(cancel_futures=True)


def _next(ahead: deque[tuple[Sequence[Item], Future[EncodedItems]]]) -> EncodedBatch:
    batch, encoded = ahead.popleft()
    return batch, encoded.result()


def _texts(batch: Sequence[Item], bundle: BundleManifest) -> list[str]:
    return [item_text(item, bundle.item_text) for item in batch]


_codec_of_process: list[ItemCodec] = []  # filled once in each encoding process, nowhere else


def _open_in_process(folder: Path, bundle: BundleManifest) -> None:
    _codec_of_process.append(open_codec(folder, bundle))


def _encode_in_process(texts: list[str]) -> EncodedItems:
    return _codec_of_process[0].encode(texts)
