"""Hours in small: steady load with refreshes and swaps, and whether anything grows or breaks.

Memory and open files are read once a second. The first minute is left out of the slope: caches
and arenas fill then.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from loadtest.changes import Store
from loadtest.open_loop import Answer, Request, Target, send
from loadtest.processes import Server
from loadtest.slo import exceeded
from loadtest.stretch import BUSY, OK, lanes_for

WINDOW_S = 300.0  # first and last part that p99 is compared between
WARM_S = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What is kept up for how long: requests a second, seconds, seconds between changes."""

    per_second: float
    seconds: float
    refresh_every: float = 60.0
    swap_every: float = 150.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server; `at` counts seconds of the soak."""

    at: float
    private_mb: float
    open_files: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may not be exceeded. `growth_mb` is of memory an hour, `files` of descriptors."""

    p99_ratio: float = 1.2
    growth_mb: float = 60.0
    files: int = 8


@dataclass(frozen=True, slots=True)
class Soak:
    """What a soak found; p99 in milliseconds from when requests were due."""

    seconds: float
    requests: int
    failed: int
    refused: int
    refreshes: int
    swaps: int
    p99_first: float
    p99_last: float
    growth_mb_an_hour: float
    memory_mb: float
    files_first: int
    files_last: int

    @property
    def p99_ratio(self) -> float:
        """Last window over first."""
        return self.p99_last / self.p99_first

    def faults(self, bounds: Bounds) -> tuple[str, ...]:
        """What was exceeded, one sentence each."""
        return exceeded(
            (
                ("failed requests:", self.failed, 0, ""),
                ("p99, last over first window:", self.p99_ratio, bounds.p99_ratio, ""),
                ("growth of memory:", self.growth_mb_an_hour, bounds.growth_mb, " MB an hour"),
                ("more open files:", self.files_last - self.files_first, bounds.files, ""),
            )
        )


def run_soak(
    server: Server, store: Store, stream: Iterator[Request], pace: Pace
) -> tuple[Soak, list[Sample]]:
    """Keep the load up for so long while the store changes; the figures and every sample.

    Where a refresh and a swap were due in that time it goes on until there was one of each: a soak
    without them would show nothing.
    """
    over = threading.Event()
    started = time.monotonic()
    with sampled(server, over) as samples, changing(store, over, pace) as done:
        timer = threading.Thread(target=end_when_seen, args=(over, pace, done))
        timer.start()
        try:
            answers = send(
                Target("127.0.0.1", server.port),
                stream,
                per_second=pace.per_second,
                lanes=lanes_for(pace.per_second),
                stopped=over.is_set,
                keep_bodies=False,
            )
        finally:
            over.set()
            timer.join()
    return summed_up(answers, samples, started=started, done=(done[0], done[1])), samples


def end_when_seen(over: threading.Event, pace: Pace, done: Sequence[int]) -> None:
    """Set `over` once time is up and what was due by then was there: a refresh, a swap."""
    waits = (pace.refresh_every, max(pace.refresh_every, pace.swap_every))
    due = [wait < pace.seconds for wait in waits]
    over.wait(pace.seconds)
    while any(is_due and not there for is_due, there in zip(due, done, strict=True)):
        if over.wait(0.1):
            return
    over.set()


def summed_up(
    answers: Sequence[Answer], samples: Sequence[Sample], *, started: float, done: tuple[int, int]
) -> Soak:
    """Compare the ends, fit the slope, count what failed."""
    length = max(answer.due for answer in answers) - started  # a straggler ends much later
    window, warm = min(WINDOW_S, length / 3), min(WARM_S, length / 5)
    first = [one for one in answers if warm <= one.due - started < warm + window]
    last = [one for one in answers if one.due - started >= length - window]
    settled = [one for one in samples if one.at >= warm] or list(samples)
    return Soak(
        seconds=length,
        requests=len(answers),
        failed=sum(one.status not in (OK, BUSY) for one in answers),
        refused=sum(one.status == BUSY for one in answers),
        refreshes=done[0],
        swaps=done[1],
        p99_first=_p99(first),
        p99_last=_p99(last),
        growth_mb_an_hour=growth(settled),
        memory_mb=settled[-1].private_mb,
        files_first=_median_files(settled[: len(settled) // 4 or 1]),
        files_last=_median_files(settled[-(len(settled) // 4 or 1) :]),
    )


def growth(samples: Sequence[Sample]) -> float:
    """Theil-Sen slope, MB an hour: the median over pairs, which a swap's peak does not move."""
    if len(samples) < 3:
        return 0.0
    step = max(1, len(samples) // 200)
    at = np.array([one.at for one in samples[::step]])
    memory = np.array([one.private_mb for one in samples[::step]])
    rows, columns = np.triu_indices(len(at), k=1)
    slopes = (memory[columns] - memory[rows]) / (at[columns] - at[rows])
    return float(np.median(slopes)) * 3600


@contextmanager
def sampled(server: Server, over: threading.Event) -> Iterator[list[Sample]]:
    """Looks at a server, once a second until it is over."""
    samples: list[Sample] = []
    started = time.monotonic()

    def look() -> None:
        while not over.wait(1.0):
            samples.append(
                Sample(time.monotonic() - started, server.private_mb(), server.open_files())
            )

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


@contextmanager
def changing(store: Store, over: threading.Event, pace: Pace) -> Iterator[list[int]]:
    """Refreshes and swaps until it is over; how many of each there were.

    A change that fails ends the block with its error.
    """
    done, faults = [0, 0], list[BaseException]()

    def work() -> None:
        try:
            store.new_generation()
            next_swap = time.monotonic() + pace.swap_every
            while not over.wait(pace.refresh_every):
                store.append_delta()
                done[0] += 1
                if time.monotonic() >= next_swap:
                    done[1] += store.swap(seconds=4)
                    next_swap += pace.swap_every
        except BaseException as fault:
            faults.append(fault)
            over.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
    if faults:
        raise faults[0]


def _p99(answers: Sequence[Answer]) -> float:
    good = [answer.seconds * 1000 for answer in answers if answer.status == OK]
    return float(np.quantile(good, 0.99)) if good else float("nan")


def _median_files(samples: Sequence[Sample]) -> int:
    return int(np.median([one.open_files for one in samples]))
