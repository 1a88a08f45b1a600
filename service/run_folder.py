"""Where the workers of one running service meet: their states, a nudge for all, their counters.

    workers/<process id>.json   `WorkerState`, replaced by the worker itself
    NUDGE                       a number; a higher one asks every worker to look at CURRENT anew
    SCRUB                       held by the worker that reads checksums
    DAMAGED                     what it found and could not mend
    counters/                   prometheus-client's multiprocess files, dead workers' included

Nothing here outlives the service, so nothing is fsynced. What workers do with it is
`lifecycle.py`'s and `current_watch.py`'s.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

PREFIX, OWNER = "ellm-serve-", "OWNER"
MEMORY = Path("/dev/shm")
STALE = 5.0  # seconds without a sign of life: the worker hangs or is gone


class Phase(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class WorkerState(BaseModel):
    """What one worker serves and how it fares.

    `prepared` is the pair it could switch to at once; `refused` says why it stayed on the old one;
    `nudge` is the last one it followed; `seen` is the time of this state.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process_id: int
    phase: Phase
    ready: bool
    bundle: str
    generation: str
    sequence: int
    created: float | None = None
    prepared: str = ""
    refused: str | None = None
    degraded: tuple[str, ...] = ()
    nudge: int = 0
    seen: float = 0.0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one running service."""

    root: Path

    @property
    def counters(self) -> Path:
        """Prometheus' files."""
        return self.root / "counters"

    @property
    def scrub_lock(self) -> Path:
        """The lock file of the worker that reads checksums."""
        return self.root / "SCRUB"

    @property
    def _damaged(self) -> Path:
        return self.root / "DAMAGED"

    @property
    def _workers(self) -> Path:
        return self.root / "workers"

    @property
    def _nudge(self) -> Path:
        return self.root / "NUDGE"

    def make(self) -> None:
        """Create what is missing of it."""
        for folder in (self.counters, self._workers):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, state: WorkerState) -> None:
        """Replace a worker's state."""
        path = self._workers / f"{state.process_id}.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(state.model_dump_json())
        os.replace(temporary, path)

    def forget(self, process_id: int) -> None:
        """Remove the state of a worker that ended, and its gauges; its counters stay."""
        (self._workers / f"{process_id}.json").unlink(missing_ok=True)
        for gauge in self.counters.glob(f"gauge_live*_{process_id}.db"):
            gauge.unlink(missing_ok=True)

    def states(self) -> tuple[WorkerState, ...]:
        """Every living worker's state, by process id; what dead ones left is removed."""
        found = []
        for path in sorted(self._workers.glob("*.json")):
            with contextlib.suppress(OSError, ValidationError):  # its worker has just ended
                state = WorkerState.model_validate_json(path.read_bytes())
                if not _lives(state.process_id):
                    self.forget(state.process_id)
                elif time.time() - state.seen < STALE:
                    found.append(state)
        return tuple(found)

    def nudge(self) -> int:
        """Ask every worker to look at CURRENT anew; returns the number they will have followed."""
        with self._nudge_locked() as file:
            number = _number(os.pread(file, 32, 0)) + 1
            os.pwrite(file, b"%d" % number, 0)
        return number

    def last_nudge(self) -> int:
        """The number of the last nudge; 0 before the first."""
        try:
            return _number(self._nudge.read_bytes())
        except FileNotFoundError:
            return 0

    def tell_damage(self, damage: str | None) -> None:
        """Say what is damaged and cannot be mended; None where nothing is."""
        if damage is None:
            self._damaged.unlink(missing_ok=True)
        else:
            self._damaged.write_text(damage)

    def is_damaged(self) -> bool:
        """Whether what answers is known to be damaged on disk."""
        return self._damaged.exists()

    @contextmanager
    def _nudge_locked(self) -> Iterator[int]:
        file = os.open(self._nudge, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


@contextmanager
def temporary_run_folder(*, place: Path | None = None) -> Iterator[RunFolder]:
    """A fresh run folder, in memory where the machine has such a place; removed at the end.

    What services that were killed left there is removed at the start.
    """
    place = place or (MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
    _remove_abandoned(place)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as root:
        folder = RunFolder(Path(root))
        with _owned(folder.root):
            folder.make()
            yield folder


@contextmanager
def _owned(root: Path) -> Iterator[None]:
    """Hold a lock that goes with this process, however it ends."""
    owner = os.open(root / OWNER, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        yield
    finally:
        os.close(owner)


def _remove_abandoned(place: Path) -> None:
    for root in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or still in use
            owner = os.open(root / OWNER, os.O_RDWR)
            try:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)
            finally:
                os.close(owner)


def _number(content: bytes) -> int:
    return int(content) if content.isdigit() else 0


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
