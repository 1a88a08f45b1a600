"""Encoding texts on several cores, the same bytes whatever their number.

Each text gets the bytes it would get alone on one thread, as inline items are encoded. Processes of
their own are `process_pool.py`'s, other machines `ray_pool.py`'s; which texts, and where their rows
go, is `rows.py`'s.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from relevance.bundle import BundleManifest
from service.encoder import OnnxTokenEncoder
from service.item_codec import EncodedItems, ItemCodec

TEXTS_PER_BATCH = 64  # some 70 ms of MiniLM: at the end no core waits long for another
BATCHES_AHEAD = 4  # per lane: nobody waits for work, and memory stays bounded

Waiting = Callable[[], EncodedItems]


class EncodingPool(Protocol):
    """Something that encodes batches of texts, `lanes` of them at once."""

    lanes: int

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Begin to encode; what comes back waits for the result."""
        ...


class InThisThread:
    """Encodes when the result is asked for."""

    lanes = 1

    def __init__(self, codec: ItemCodec) -> None:
        self._codec = codec

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Keep the texts until the result is wanted."""
        return lambda: self._codec.encode_all(texts)


class InThreads:
    """Encodes in threads that share one open encoder: they are ready at once, and its weights lie
    in the processor's cache once."""

    def __init__(self, codec: ItemCodec, pool: ThreadPoolExecutor, *, lanes: int) -> None:
        self._codec, self._pool = codec, pool
        self.lanes = lanes

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Hand the texts to the next free thread."""
        return self._pool.submit(self._codec.encode_all, list(texts)).result


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
def open_threads(codec: ItemCodec, *, lanes: int) -> Iterator[EncodingPool]:
    """A pool of so many threads; with one, whoever waits encodes."""
    if lanes == 1:
        yield InThisThread(codec)
        return
    with ThreadPoolExecutor(lanes, "encode") as pool:
        try:
            yield InThreads(codec, pool, lanes=lanes)
        finally:
            pool.shutdown(cancel_futures=True)
