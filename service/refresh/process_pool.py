"""Encoding in processes of their own, where so many cores are used that Python's lock would be in
the way: about a twentieth of a text's encoding holds it. They take a second to start.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from relevance.bundle import BundleManifest
from relevance.errors import Unavailable
from service.item_codec import EncodedItems, ItemCodec
from service.refresh.encode import EncodingPool, Waiting, open_codec

MOST_THREADS = 8  # from here on processes


class InProcesses:
    """Encodes in processes; raises `Unavailable` where one of them dies."""

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


@contextmanager
def open_processes(folder: Path, bundle: BundleManifest, *, lanes: int) -> Iterator[EncodingPool]:
    """A pool of so many processes, each with the bundle's encoder open."""
    # spawn: a forked ONNX Runtime or tokenizer may hang on locks its threads held.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(lanes, context, _open_in_process, (folder, bundle)) as pool:
        try:
            yield InProcesses(pool, lanes=lanes)
        finally:
            pool.shutdown(cancel_futures=True)


def _died() -> Unavailable:
    return Unavailable("an encoding process died\nhint: out of memory? Try fewer --workers")


_codec_of_process: list[ItemCodec] = []  # filled once in each encoding process, nowhere else


def _open_in_process(folder: Path, bundle: BundleManifest) -> None:
    _codec_of_process.append(open_codec(folder, bundle))


def _encode_in_process(texts: list[str]) -> EncodedItems:
    return _codec_of_process[0].encode_all(texts)
