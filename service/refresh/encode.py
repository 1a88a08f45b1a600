"""Encoding texts in several processes, the same bytes whatever their number.

Each process encodes one text at a time on one thread; that is also how inline items are encoded.
Which texts, and where their rows go, is `rows.py`'s.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from relevance.bundle import BundleManifest
from relevance.errors import Unavailable
from service.encoder import OnnxTokenEncoder
from service.item_codec import EncodedItems, ItemCodec

TEXTS_PER_BATCH = 64  # a quarter of a second of MiniLM, a quarter of a megabyte back
BATCHES_AHEAD = 4  # per process: nobody waits for work, and memory stays bounded

Waiting = Callable[[], EncodedItems]


class EncodingPool(Protocol):
    """Something that encodes batches of texts, `lanes` of them at once."""

    lanes: int

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Begin to encode; what comes back waits for the result."""
        ...


class InThisProcess:
    """Encodes when the result is asked for."""

    lanes = 1

    def __init__(self, codec: ItemCodec) -> None:
        self._codec = codec

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Keep the texts until the result is wanted."""
        return lambda: self._codec.encode(texts)


class InProcesses:
    """Encodes in processes of its own; raises `Unavailable` where one of them dies."""

    def __init__(self, pool: ProcessPoolExecutor, *, lanes: int) -> None:
        self._pool = pool
        self.lanes = lanes

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Hand the texts to the next free process."""
        try:
            future = self._pool.submit(_encode_in_process, list(texts))
        except BrokenProcessPool as fault:
            raise _died() from fault

        def wait() -> EncodedItems:
            try:
                return future.result()
            except BrokenProcessPool as fault:
                raise _died() from fault

        return wait


class Pace:
    """At most so many items a second, so that a refresh leaves room for the service beside it."""

    def __init__(
        self,
        items_per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds_per_item = 1 / items_per_second if items_per_second else 0.0
        self._clock, self._sleep = clock, sleep
        self._next = clock()

    def take(self, items: int) -> None:
        """Wait until so many more items may begin; unused time is not saved up."""
        now = self._clock()
        if self._next > now:
            self._sleep(self._next - now)
        self._next = max(self._next, now) + items * self._seconds_per_item


def open_codec(folder: Path, bundle: BundleManifest) -> ItemCodec:
    """The codec of a verified bundle."""
    return ItemCodec(OnnxTokenEncoder.read(folder, bundle), bundle)


@contextmanager
def open_pool(folder: Path, bundle: BundleManifest, *, workers: int) -> Iterator[EncodingPool]:
    """A pool of `workers` processes; with one, this process encodes itself."""
    if workers == 1:
        yield InThisProcess(open_codec(folder, bundle))
        return
    # spawn: a forked ONNX Runtime or tokenizer may hang on locks its threads held.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open_in_process, (folder, bundle)) as pool:
        try:
            yield InProcesses(pool, lanes=workers)
        finally:
            pool.shutdown(cancel_futures=True)


def _died() -> Unavailable:
    return Unavailable("an encoding process died\nhint: out of memory? Try fewer --workers")


_codec_of_process: list[ItemCodec] = []  # filled once in each encoding process, nowhere else


def _open_in_process(folder: Path, bundle: BundleManifest) -> None:
    _codec_of_process.append(open_codec(folder, bundle))


def _encode_in_process(texts: list[str]) -> EncodedItems:
    return _codec_of_process[0].encode(texts)
