"""One worker's open file of log rows: appended batch by batch, then sealed as Parquet.

    .pairs-<UTC>-<process>-<number>.arrows    open: an Arrow IPC stream, readable up to its torn end
    pairs-<UTC>-<process>-<number>.parquet    sealed: complete from the moment it has its name

A killed worker loses what it had not yet appended, and nothing else: the next one to look seals
what is left of its stream. An open stream is locked, so no living worker's is taken for left.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.experiments.pair_log import PREFIX, SCHEMA

OPEN_SUFFIX = ".arrows"
_numbers = count()


class Journal:
    """An open stream; rows are on their way to the disk when `append` returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        self.path = folder / f".{PREFIX}{stamp}-{os.getpid()}-{next(_numbers)}{OPEN_SUFFIX}"
        self.opened = time.monotonic()
        self.rows = 0
        self._file = self.path.open("xb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._stream = pa.ipc.new_stream(self._file, SCHEMA)

    @property
    def bytes(self) -> int:
        """The stream's length so far."""
        return self._file.tell()

    def append(self, batch: pa.RecordBatch) -> None:
        """Write rows where a kill of this process no longer loses them."""
        self._stream.write_batch(batch)
        self.rows += batch.num_rows

    def seal(self) -> Path | None:
        """Make the stream a Parquet file and remove it; None where it held no row."""
        self._stream.close()
        try:
            return _sealed(self.path)
        finally:
            self._file.close()


def seal_abandoned(folder: Path) -> list[Path]:
    """Seal the streams of workers that are gone; what was torn off is left out."""
    sealed = []
    for path in sorted(folder.glob(f".{PREFIX}*{OPEN_SUFFIX}")):
        with contextlib.suppress(OSError), path.open("rb") as file:  # locked, or just sealed
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # An empty one may be a living worker's, opened a moment ago and not yet locked.
            if path.stat().st_size and (made := _sealed(path)) is not None:
                sealed.append(made)
    return sealed


def remove_old(folder: Path, *, max_age_s: float, max_bytes: int) -> list[Path]:
    """Remove sealed files older than `max_age_s`, then the oldest until `max_bytes` hold all."""
    removed, files = [], []
    for path in folder.glob(f"{PREFIX}*.parquet"):
        with contextlib.suppress(OSError):
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for changed, size, path in sorted(files):
        if time.time() - changed <= max_age_s and total <= max_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
        removed.append(path)
    return removed


def _sealed(path: Path) -> Path | None:
    batches = list(_batches(path))
    target = path.with_name(path.name.removeprefix(".")).with_suffix(".parquet")
    for unfinished in path.parent.glob(f".{target.name}.*"):  # of a worker killed while sealing
        unfinished.unlink(missing_ok=True)
    if batches:
        with replacing_file(target) as temporary:
            table = pa.Table.from_batches(batches, SCHEMA)
            pq.write_table(table, temporary, compression="zstd")
    path.unlink(missing_ok=True)
    return target if batches else None


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The whole batches; the last may be torn where its writer was killed."""
    with contextlib.suppress(pa.ArrowException, OSError), pa.OSFile(str(path)) as file:
        for batch in pa.ipc.open_stream(file):
            batch.validate(full=True)
            yield batch
