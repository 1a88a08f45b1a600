"""Encoding over a Ray cluster: the same batches, each to an actor that holds the bundle.

An actor gets the bundle's files through Ray's object store, so other machines need this package
and no shared disk. Bytes are those of local encoding on the same kind of CPU and the same
onnxruntime; the refresh's own check compares a sample with this machine's.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from relevance.bundle import MANIFEST, PARTS, BundleManifest, read_bundle
from relevance.errors import Unavailable
from service.item_codec import EncodedItems
from service.refresh.encode import EncodingPool, Waiting, open_codec

LOCAL = "local"  # a cluster of this machine alone, made for this refresh


class _Encoder:
    """What an actor is: a bundle's files unpacked for as long as it lives, and its codec."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ellm-bundle-")
        folder = Path(self._folder.name)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self._codec = open_codec(folder, read_bundle(folder))

    def encode(self, texts: Sequence[str]) -> EncodedItems:
        """The items with these texts."""
        return self._codec.encode_all(texts)


class OverRay:
    """Hands batches to the actors in turn; raises `Unavailable` where one is lost."""

    def __init__(self, ray: Any, actors: Sequence[Any]) -> None:
        self._ray, self._next = ray, cycle(actors)
        self.lanes = len(actors)

    def submit(self, texts: Sequence[str]) -> Waiting:
        """Hand the texts to the next actor."""
        promised = next(self._next).encode.remote(list(texts))

        def wait() -> EncodedItems:
            try:
                encoded: EncodedItems = self._ray.get(promised)
            except self._ray.exceptions.RayError as fault:
                raise Unavailable(f"a Ray actor was lost: {str(fault)[:300]}") from fault
            return encoded

        return wait


@contextmanager
def open_ray_pool(
    folder: Path, bundle: BundleManifest, *, workers: int, address: str
) -> Iterator[EncodingPool]:
    """`workers` actors of one core each on the cluster at `address`, or on a `LOCAL` one."""
    import ray  # only here: nobody else needs it

    options = {"num_cpus": workers} if address == LOCAL else {"address": address}
    try:
        ray.init(**options, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as fault:
        raise Unavailable(f"Ray at {address}: {fault}") from fault
    try:
        files = ray.put({name: (folder / name).read_bytes() for name in (*PARTS, MANIFEST)})
        encoder = ray.remote(num_cpus=1)(_Encoder)
        yield OverRay(ray, [encoder.remote(files) for _ in range(workers)])
    finally:
        ray.shutdown()
