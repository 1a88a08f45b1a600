"""A drill: load on a live service while generations are swapped under it.

Every reply is compared with what its generation answered while nothing else happened: a failed, a
wrong or a mixed reply is counted, and how long workers took to agree. Times are those of this
machine with its neighbours; compare them within one run.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.open_loop import Answer, Lane, Target, drive
from relevance.errors import BadInput, Unavailable
from relevance.generation import Current, StorePaths, read_current, read_manifest, switch_current

HOST = "127.0.0.1"
BODIES = 32  # different requests; each one's answers are learnt for both generations
PAUSE = 2.5  # seconds between two swaps; times of the first half count as a swap's
PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to the service; `cold` drops a generation from the page cache before its swap."""

    per_second: float
    candidates: int
    swaps: int
    workers: int
    cold: bool
    port: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a drill found; milliseconds count from when a request was due."""

    plan: Plan
    requests: int
    failed: int
    wrong: int
    steady_p50_ms: float
    steady_p99_ms: float
    swapping_p50_ms: float
    swapping_p99_ms: float
    agree_median_s: float
    agree_max_s: float
    load_average: float


def run(store: StorePaths, bodies: Sequence[bytes], plan: Plan) -> Report:
    """Drill a store's two newest generations; CURRENT is as it was afterwards."""
    first, second = two_generations(store)
    try:
        with serving(store, workers=plan.workers, port=plan.port) as target:
            expected = {
                pair.generation: learn(store, pair, target, bodies, workers=plan.workers)
                for pair in (second, first)
            }
            answers, moments = drill(store, (second, first), target, bodies, plan)
    finally:
        switch_current(store, first)
    return judged(answers, moments, expected, plan)


def two_generations(store: StorePaths) -> tuple[Current, Current]:
    """The current generation and the newest other one; raises `BadInput` where there is none."""
    current = read_current(store)
    others = sorted(
        folder.name
        for folder in store.generation("x").parent.iterdir()
        if folder.name != current.generation and not folder.name.startswith(".")
    )
    if not others:
        raise BadInput(f"{store.root}: expected two generations, got one: {current.generation}")
    manifest = read_manifest(store.generation(others[-1]))
    return current, Current(generation=others[-1], bundle=manifest.bundle_id)


@contextmanager
def serving(store: StorePaths, *, workers: int, port: int) -> Iterator[Target]:
    """`ellm serve` on this store, ready; stopped at the end."""
    words = ("serve", "--store", store.root, "--port", port, "--workers", workers)
    command = [sys.executable, "-m", "relevance", *map(str, words), "--log-requests", "none"]
    process = subprocess.Popen([*command, "--drain-delay", "0"])
    try:
        deadline = time.monotonic() + PATIENCE
        while not _all_on(port, None, workers=workers):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable("the service did not become ready; its output says why")
            time.sleep(0.1)
        yield Target(HOST, port)
    finally:
        process.terminate()
        process.wait()


def learn(
    store: StorePaths, pair: Current, target: Target, bodies: Sequence[bytes], *, workers: int
) -> list[bytes]:
    """What a generation answers to each request while nothing else happens."""
    switch_current(store, pair)
    deadline = time.monotonic() + PATIENCE
    while not _all_on(target.port, pair.generation, workers=workers):
        if time.monotonic() > deadline:
            raise Unavailable(f"the service does not answer from {pair.generation}")
        time.sleep(0.05)
    lane = Lane(target)
    answers = [lane.ask(body)[1] for body in bodies]
    lane.close()
    return answers


def drill(
    store: StorePaths,
    pairs: tuple[Current, Current],
    target: Target,
    bodies: Sequence[bytes],
    plan: Plan,
) -> tuple[list[Answer], list[tuple[float, str]]]:
    """Answers under load, and when which generation was made current."""
    answers: list[Answer] = []
    count = int(plan.per_second * PAUSE * (plan.swaps + 2))
    sent = [bodies[number % len(bodies)] for number in range(count)]
    load = threading.Thread(
        target=lambda: answers.extend(drive(target, sent, per_second=plan.per_second))
    )
    load.start()
    moments = []
    for at in range(plan.swaps):
        time.sleep(PAUSE)
        pair = pairs[at % 2]
        if plan.cold:
            drop_from_page_cache(store.generation(pair.generation))
        moments.append((time.monotonic(), pair.generation))
        switch_current(store, pair)
    load.join()
    return answers, moments


def judged(
    answers: Sequence[Answer],
    moments: Sequence[tuple[float, str]],
    expected: dict[str, list[bytes]],
    plan: Plan,
) -> Report:
    """Compare every answer with what its generation answers, and tell the times apart."""
    good = [answer for answer in answers if answer.status == 200]
    generations = {answer.number: json.loads(answer.body)["generation"] for answer in good}
    wrong = [
        answer
        for answer in good
        if answer.body != expected[generations[answer.number]][answer.number % BODIES]
    ]
    near = [a for a in good if any(0 <= a.due - at < PAUSE / 2 for at, _ in moments)]
    far = [answer for answer in good if answer not in near]
    agreed = [
        max((a.due - at for a in good if _is_late(a, at, new, generations)), default=0.0)
        for at, new in moments
    ]
    return Report(
        plan=plan,
        requests=len(answers),
        failed=len(answers) - len(good),
        wrong=len(wrong),
        steady_p50_ms=_percentile(far, 50),
        steady_p99_ms=_percentile(far, 99),
        swapping_p50_ms=_percentile(near, 50),
        swapping_p99_ms=_percentile(near, 99),
        agree_median_s=statistics.median(agreed),
        agree_max_s=max(agreed),
        load_average=os.getloadavg()[0],
    )


def drop_from_page_cache(folder: Path) -> None:
    """Have the kernel forget a folder's files, as far as no process maps them."""
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def _is_late(answer: Answer, at: float, new: str, generations: dict[int, str]) -> bool:
    return 0 <= answer.due - at < PAUSE and generations[answer.number] != new


def _percentile(answers: Sequence[Answer], percent: int) -> float:
    if len(answers) < 2:
        return float("nan")
    cuts = statistics.quantiles([answer.seconds for answer in answers], n=100)
    return cuts[percent - 1] * 1000


def _all_on(port: int, generation: str | None, *, workers: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/admin/workers", timeout=5) as reply:
            found = json.load(reply)["workers"]
    except (OSError, ValueError):
        return False
    ready = [worker for worker in found if worker["ready"]]
    return len(ready) == workers and all(
        generation in (None, worker["generation"]) for worker in ready
    )
