"""What machine this is, and how busy all of it is: figures without these mean nothing."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CLIENT_LIMITED = 0.7  # share of all CPUs above which client and server take them from each other
TELLING_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "amx_int8")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when something was measured; `load` is the load average at its start."""

    cpu: str
    flags: tuple[str, ...]
    cores: int
    memory_gb: float
    date: str
    load: float

    def __str__(self) -> str:
        flags = ", ".join(self.flags)
        return f"{self.date}, {self.cpu} ({flags}), {self.cores} cores, {self.memory_gb:.0f} GB"


def this_machine() -> Machine:
    """This one, now."""
    told = _first_processor()
    flags = told.get("flags", "").split()
    return Machine(
        cpu=told.get("model name", platform.processor()),
        flags=tuple(flag for flag in TELLING_FLAGS if flag in flags),
        cores=os.cpu_count() or 1,
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        load=os.getloadavg()[0],
    )


@dataclass(slots=True)
class Busy:
    """Shares filled in when the block of `watching` ends.

    `machine` of all CPUs' time, whoever used it; `client` of one CPU's, by this process.
    """

    machine: float = 0.0
    client: float = 0.0
    seconds: float = 0.0

    @property
    def is_client_limited(self) -> bool:
        """Whether times tell as much of the full machine as of the server."""
        return self.machine > CLIENT_LIMITED


@contextmanager
def watching() -> Iterator[Busy]:
    """How busy machine and client are while the block runs."""
    busy = Busy()
    started, own = time.perf_counter(), time.process_time()
    used, total = _jiffies()
    yield busy
    used_after, total_after = _jiffies()
    busy.seconds = time.perf_counter() - started
    busy.client = (time.process_time() - own) / busy.seconds
    busy.machine = (used_after - used) / max(total_after - total, 1)


def _jiffies() -> tuple[int, int]:
    """Used and all time of all CPUs since the machine was started: proc(5), /proc/stat."""
    with open("/proc/stat") as file:
        user, nice, system, idle, wait, *others = map(int, file.readline().split()[1:])
    used = user + nice + system + sum(others[:3])  # guest time is in user time already
    return used, used + idle + wait


def _first_processor() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    pairs = (line.partition(":") for line in path.read_text().split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
