"""A drill on one machine with everything real: what an operator does, under load, without a loss.

    python deploy/drill --bundle BUNDLE --next-bundle OTHER --items CATALOGUE --out FOLDER

Two replicas of `ellm serve` over one store and a Redis behind HAProxy. Under steady load: a
refresh with changes, a compaction, a rolling restart, a bundle rolled out and back, Redis killed
and restored, one replica killed, one added from Redis alone. Every reply is compared with a
witness's. Exit code 1 where a request failed or a reply was wrong. Needs redis-server and haproxy.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cluster import Cluster, NotSo, cluster, eventually
from load import Found, Known, Step, core_of, faults, judged, load, now

from relevance.generation import StorePaths, read_current

REQUESTS, CANDIDATES = 24, 20
BREATH = 2.0  # seconds of load after each step, so that its consequences show


class Drill:
    """A running cluster, the requests sent to it, and what has been done and learnt so far."""

    def __init__(self, running: Cluster, bodies: Sequence[bytes], known: Known) -> None:
        self.cluster = running
        self.bodies = bodies
        self.known = known
        self.steps: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Do something, learn what is right from now on, and see every replica come to it."""
        began = now()
        sys.stderr.write(f"{name} …\n")
        yield
        self.learn()
        self.agree()
        time.sleep(BREATH)
        self.steps.append(Step(name, began, now()))

    def learn(self) -> None:
        """Ask the witness everything, once it answers from what CURRENT names."""
        current = read_current(StorePaths(self.cluster.store)).generation
        sequence = newest_sequence(self.cluster)

        def has_seen_it() -> bool:
            seen = self.cluster.get("witness", "/health")
            return bool((seen["generation"], seen["sequence"]) == (current, sequence))

        eventually(has_seen_it, f"the witness answers from {current}, change {sequence}")
        for number, body in enumerate(self.bodies):
            self.known.learn(number, self.cluster.ask("witness", body))

    def agree(self) -> None:
        """Wait until each replica answers every request as the witness does now."""
        for name in ("a", "b"):
            for body in self.bodies:
                newest = core_of(self.cluster.ask("witness", body))
                eventually(
                    lambda name=name, body=body, newest=newest: (  # type: ignore[misc]
                        core_of(self.cluster.ask(name, body)) == newest
                    ),
                    f"replica {name} answers as the witness",
                )


def drill(running: Cluster, bodies: Sequence[bytes], plan: argparse.Namespace) -> list[Found]:
    """All steps under load; raises `NotSo` where something does not come about."""
    known = Known()
    this = Drill(running, bodies, known)
    set_up(running, plan)
    this.learn()
    with load(
        running.port("balancer"), bodies, per_second=plan.per_second, lanes=plan.lanes
    ) as answers:
        for name, act in STEPS.items():
            with this.step(name):
                act(running, plan)
    found = judged(answers, this.steps, known)
    for fault in faults(answers, known):
        sys.stderr.write(f"{fault}\n")
    return found


def set_up(running: Cluster, plan: argparse.Namespace) -> None:
    """A first generation, in Redis as well, and everything that serves it."""
    running.start_redis()
    refresh(running, plan.items, plan)
    running.start_service("witness", running.store)
    running.start_replica("a")
    running.start_replica("b")
    running.start_balancer()


def refresh(running: Cluster, items: Path, plan: argparse.Namespace, *words: str) -> None:
    """The refresh job: the store, then Redis."""
    store = str(running.store)
    running.run(
        *("refresh", "--bundle", str(plan.bundle), "--items", str(items), "--store", store),
        *("--workers", "1", "--metrics-file", f"{store}/metrics/refresh.prom", *words),
    )
    load_redis(running)


def load_redis(running: Cluster) -> None:
    """Write to Redis what is current, and tell replicas."""
    words = ("--store", str(running.store), "--redis", running.redis_url)
    running.run("redis", "load", *words, "--announce", "--prune", "--live")


def nothing(running: Cluster, plan: argparse.Namespace) -> None:
    """Peace, to compare with."""


def changed_items(running: Cluster, plan: argparse.Namespace) -> None:
    """A refresh in which a few titles changed: a delta."""
    changed = changed_catalogue(plan.items, running.folder / "changed.parquet")
    refresh(running, changed, plan)
    assert newest_sequence(running) > 0, "expected a delta"


def compaction(running: Cluster, plan: argparse.Namespace) -> None:
    """A refresh that makes a new generation."""
    refresh(running, running.folder / "changed.parquet", plan, "--compact")


def rolling_restart(running: Cluster, plan: argparse.Namespace) -> None:
    """One replica after the other, drained."""
    for name in ("a", "b"):
        running.stop(name)
        running.start_replica(name)
        await_balancer(running, name)


def await_balancer(running: Cluster, name: str) -> None:
    """Wait until the balancer gives a replica its share."""
    eventually(lambda: running.is_balanced(name), f"the balancer has replica {name}")


def bundle_rollout(running: Cluster, plan: argparse.Namespace) -> None:
    """Another bundle, live everywhere."""
    before = read_current(StorePaths(running.store)).bundle
    words = ("--bundle", str(plan.next_bundle), "--store", str(running.store), "--workers", "1")
    running.run("rollout", *words)
    load_redis(running)
    assert read_current(StorePaths(running.store)).bundle != before, "expected another bundle"


def rollback(running: Cluster, plan: argparse.Namespace) -> None:
    """Back to the bundle before."""
    running.run("store", "rollback", "--store", str(running.store))
    load_redis(running)


def redis_killed(running: Cluster, plan: argparse.Namespace) -> None:
    """Redis gone without a word: the store behind it answers, and replies say so."""
    running.stop("redis", signal.SIGKILL)
    time.sleep(2 * BREATH)


def redis_restored(running: Cluster, plan: argparse.Namespace) -> None:
    """An empty Redis, filled again from the store; replies stop saying that anything is wrong."""
    running.start_redis()
    load_redis(running)
    for name in ("a", "b"):
        eventually(
            lambda name=name: (
                not any(  # type: ignore[misc]
                    running.ask(name, body)["degraded"] for body in bodies_of(plan)
                )
            ),
            f"replica {name} has Redis again",
        )


def replica_killed(running: Cluster, plan: argparse.Namespace) -> None:
    """One replica gone without a word: the balancer asks the other."""
    running.stop("a", signal.SIGKILL)
    time.sleep(2 * BREATH)
    running.start_replica("a")
    await_balancer(running, "a")


def replica_added(running: Cluster, plan: argparse.Namespace) -> None:
    """A machine that has nothing: filled from Redis alone, it answers as the others do."""
    store = running.folder / "newcomer"
    bundle = StorePaths(running.store).bundle(read_current(StorePaths(running.store)).bundle)
    words = ("--store", str(store), "--bundle", str(bundle), "--redis", running.redis_url)
    running.run("redis", "fill", *words)
    running.start_service("newcomer", store)
    for body in bodies_of(plan):
        ours, theirs = (running.ask(name, body)["results"] for name in ("newcomer", "witness"))
        if ours != theirs:
            raise NotSo(f"the newcomer answers otherwise: {ours} and {theirs}")
    running.stop("newcomer")


STEPS: dict[str, Callable[[Cluster, argparse.Namespace], None]] = {
    "steady": nothing,
    "refresh with changes": changed_items,
    "compaction": compaction,
    "rolling restart": rolling_restart,
    "bundle rollout": bundle_rollout,
    "rollback": rollback,
    "Redis killed": redis_killed,
    "Redis restored": redis_restored,
    "replica killed and back": replica_killed,
    "replica added from Redis": replica_added,
}


def newest_sequence(running: Cluster) -> int:
    """The newest sequence appended to the current generation; 0 without deltas."""
    paths = StorePaths(running.store)
    folder = paths.deltas(read_current(paths).generation)
    return max((int(path.stem.split("-")[1]) for path in folder.glob("*.delta")), default=0)


def changed_catalogue(items: Path, into: Path) -> Path:
    """The catalogue with the first of every fifty titles changed."""
    table = pq.read_table(items)
    titles = [
        f"{title} new" if at % 50 == 0 else title
        for at, title in enumerate(table["title"].to_pylist())
    ]
    at = table.schema.get_field_index("title")
    pq.write_table(table.set_column(at, "title", pa.array(titles)), into)
    return into


def bodies_of(plan: argparse.Namespace) -> list[bytes]:
    """Requests over the whole catalogue, titles of its own items asking."""
    table = pq.read_table(plan.items, columns=["item_id", "title"])
    ids, titles = table["item_id"].to_pylist(), table["title"].to_pylist()
    bodies = []
    for number in range(REQUESTS):
        start = number * len(ids) // REQUESTS
        chosen = [ids[(start + 7 * step) % len(ids)] for step in range(CANDIDATES)]
        query = " ".join(str(titles[start]).split()[:6]) or "red"
        bodies.append(json.dumps({"query": query, "item_ids": chosen}).encode())
    return bodies


def quarter_of_the_arena(plan: argparse.Namespace) -> int:
    """So small that rows come from Redis: a quarter of what the catalogue's would take."""
    manifest = json.loads((plan.bundle / "manifest.json").read_text())
    rows = manifest["max_item_tokens"] * manifest["dim"]
    return max(pq.read_metadata(plan.items).num_rows * int(rows) // 4, int(rows))


def table_of(found: Sequence[Found]) -> str:
    """The findings as Markdown."""
    lines = [
        "| step | seconds | requests | failed | wrong | degraded | encoded | p50 ms | p99 ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in found:
        counts = f"{one.requests} | {one.failed} | {one.wrong} | {one.degraded} | {one.encoded}"
        times = f"{one.p50_ms:.1f} | {one.p99_ms:.1f}"
        lines.append(f"| {one.step} | {one.seconds:.1f} | {counts} | {times} |")
    return "\n".join(lines) + "\n"


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python deploy/drill", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle to begin with")
    parser.add_argument("--next-bundle", type=Path, required=True, help="the one to roll out")
    parser.add_argument("--items", type=Path, required=True, help="catalogue, Parquet")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for everything")
    parser.add_argument("--per-second", type=float, default=50, help="requests")
    parser.add_argument("--lanes", type=int, default=8, help="connections")
    parser.add_argument("--port", type=int, default=18710, help="the first of seven")
    return parser.parse_args()


def main() -> int:
    """Drill, write drill.json and drill.md, and say how it went."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exit ends what was started
    plan = options()
    plan.out.mkdir(parents=True, exist_ok=True)
    began = now()
    with cluster(
        plan.out, first_port=plan.port, arena_max_bytes=quarter_of_the_arena(plan)
    ) as running:
        try:
            found = drill(running, bodies_of(plan), plan)
        except NotSo as fault:
            sys.stderr.write(f"drill: {fault}\n")
            return 1
    (plan.out / "drill.json").write_text(json.dumps([asdict(one) for one in found], indent=1))
    (plan.out / "drill.md").write_text(table_of(found))
    sys.stdout.write(table_of(found))
    sys.stdout.write(f"{now() - began:.0f} s in all\n")
    return int(any(one.failed or one.wrong for one in found))


if __name__ == "__main__":
    sys.exit(main())
