"""Unfinished work that the next run may go on with, named by all that decides its bytes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import xxhash
from jaxtyping import Int64

from relevance.bundle import BundleManifest
from relevance.errors import BadGeneration
from service.refresh.plan import Extent
from service.refresh.rows import NOTE
from service.refresh.spool import Spool
from service.store.build import ROW_PARTS
from service.store.verified import machine


def work_key(
    bundle: BundleManifest, spool: Spool, places: Int64[np.ndarray, " places"], extent: Extent
) -> str:
    """A name for the encoding of some of a spool's items by a bundle.

    The machine is in it: float kernels differ between kinds of CPU.
    """
    wanted = xxhash.xxh3_64_hexdigest(np.ascontiguousarray(places).data)
    return f"{bundle.bundle_id}-{spool.digest}-{wanted}-{extent}-{machine()[:8]}"


@contextmanager
def resuming(spool: Spool, key: str) -> Iterator[Spool]:
    """The spool in a folder of its own name, with the rows a killed run left for the same key.

    What the work's own damage or success leaves is removed; what a full disk or a killed process
    leaves is kept for the next run.
    """
    folder = spool.folder.with_name(key)
    if folder.exists():
        for name in (*ROW_PARTS, NOTE):  # the note last: it vouches for the others
            with suppress(FileNotFoundError):
                (folder / name).rename(spool.folder / name)
        shutil.rmtree(folder)
    spool.folder.rename(folder)
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    try:
        yield replace(spool, folder=folder)
    except BadGeneration:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
