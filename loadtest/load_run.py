"""Load on a service while everything happens that happens to a service, phase after phase.

Locust's users stay from the first phase to the last. Beside them the open-loop client sends at a
steady rate, and its times are the figures: they count from when a request was due.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.changes import Store
from loadtest.open_loop import Request
from loadtest.processes import Server
from loadtest.slo import Slo
from loadtest.stretch import Stretch, run_stretch
from loadtest.traffic import Mixture, Traffic, requests

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
SLACK_S = 15  # locust stops so much after the last phase ought to have ended, if nobody stops it
REPORT_S = 180  # to finish open requests and write its report, on a machine that is busy otherwise
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Phase:
    """What is asked, and what is done to the service meanwhile."""

    name: str
    mixture: Mixture
    during: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked of whom: the open loop's rate, and locust's users with the rate of each.

    `data` is the prefix that locust's processes read `traffic` from again.
    """

    traffic: Traffic
    data: Path
    per_second: float
    seconds: float
    users: int
    user_rate: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Every phase as it went, what the SLO was not held by, and how locust ended."""

    stretches: tuple[Stretch, ...]
    faults: tuple[str, ...]
    locust_exit: int


def phases(store: Store, seconds: float, teacher: "Teacher | None") -> list[Phase]:
    """All that happens, in order."""
    usual = Mixture()
    mostly_explain = replace(
        usual,
        kinds=tuple(
            replace(kind, share=0.5) if kind.path == "/explain" else kind for kind in usual.kinds
        ),
    )
    listed = [
        Phase("as usual", usual),
        Phase("every query new", replace(usual, hit_rate=0.0)),
        Phase("95 % of queries asked before", replace(usual, hit_rate=0.95)),
        Phase("30 % of ids unknown", replace(usual, missing=0.3)),
        Phase("refresh: a delta", usual, store.append_delta),
        Phase("refresh: a generation", usual, store.new_generation),
        Phase("hot swaps", usual, lambda: store.swap(seconds=seconds - 2)),
    ]
    if teacher is not None:
        listed += [
            Phase("teacher slow", mostly_explain, teacher.slow_down),
            Phase("teacher gone", mostly_explain, teacher.stop),
        ]
    return listed


class Teacher:
    """The stand-in for an LLM, as a process; a context manager."""

    def __init__(self, port: int, *, slow_s: float = 5.0) -> None:
        self.port, self._slow_s = port, slow_s
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.stand_in_teacher", str(port)]
        )

    def __enter__(self) -> "Teacher":
        return self

    def __exit__(self, *fault: object) -> None:
        self.stop()

    def slow_down(self) -> None:
        """Have every answer wait from now on."""
        import httpx

        httpx.post(f"http://127.0.0.1:{self.port}/pace", content=str(self._slow_s))

    def stop(self) -> None:
        """End it, for good."""
        self._process.terminate()
        self._process.wait()


def run_load(
    server: Server, listed: Sequence[Phase], load: Load, slo: Slo, *, out: Path, say: Say
) -> LoadResult:
    """All phases one after the other, locust beside them."""
    found: list[Stretch] = []
    with locust_beside(server, load, len(listed), out=out) as locust:
        for number, phase in enumerate(listed):
            stream = requests(load.traffic, phase.mixture, seed=1000 + number)
            stretch = _run_phase(phase, server, stream, load)
            found.append(stretch)
            say(f"{phase.name:<30} p99 {stretch.times.p99:8.1f} ms  failed {stretch.failed}")
    faults = [fault for stretch in found for fault in slo.faults(stretch)]
    if locust.returncode:
        faults.append(f"locust: ended with {locust.returncode}, its report names the failures")
    return LoadResult(tuple(found), tuple(faults), locust.returncode)


@contextmanager
def locust_beside(
    server: Server, load: Load, number_of_phases: int, *, out: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Locust's users without the web UI; they go when the block ends, and the report is written."""
    longest = int(load.seconds * number_of_phases * 2 + SLACK_S)
    words = [
        *("-f", LOCUSTFILE, "--headless", "--host", f"http://127.0.0.1:{server.port}"),
        *("--data", load.data, "--users", load.users, "--spawn-rate", load.users),
        *("--user-rate", load.user_rate, "--run-time", f"{longest}s", "--stop-timeout", 10),
        *("--html", out / "locust.html", "--csv", out / "locust", "--only-summary"),
    ]
    with (out / "locust.log").open("wb") as log, started_interruptible():
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", *map(str, words)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(LOCUSTFILE.parents[1])},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # on SIGTERM it would write no report
        process.wait(REPORT_S)


@contextmanager
def started_interruptible() -> Iterator[None]:
    """Processes started in this block end on SIGINT, though this one may ignore it.

    What a shell starts in the background ignores SIGINT, and so does what that starts: execve(2)
    keeps what is ignored and sets what is handled to its default. For the main thread.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run_phase(phase: Phase, server: Server, stream: Iterator[Request], load: Load) -> Stretch:
    """One phase; a change that fails fails the phase."""
    faults: list[BaseException] = []

    def work() -> None:
        try:
            phase.during()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    stretch = run_stretch(
        phase.name, server, stream, per_second=load.per_second, seconds=load.seconds
    )
    thread.join()
    if faults:
        raise faults[0]
    phase.after()
    return stretch
