"""Cores, memory, Redis and replicas for a shop, from measured constants, the arithmetic shown.

Nothing here measures: constants come from `ellm bench capacity` or by hand, and each says which.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relevance.errors import BadInput

GB = 1e9


@dataclass(frozen=True, slots=True)
class Constant:
    """A figure and where it was had from."""

    value: float
    source: str


NAMES = {
    "fixed_ms": "CPU milliseconds of a request without its candidates",
    "candidate_us": "CPU microseconds of a candidate",
    "utilisation": "share of the cores that is used at the highest rate that holds the SLO",
    "item_bytes": "bytes of an item on disk and in the mapping, index and fields included",
    "worker_mb": "private memory of a worker process",
    "redis_item_bytes": "memory of an item in Redis, both keys",
    "item_cpu_ms": "CPU milliseconds of encoding an item",
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked for. `changed` is the share of items whose text changes a day."""

    items: float
    qps: float
    candidates: int
    cores_per_replica: int = 8
    memory_per_replica_gb: float = 64.0
    spare_replicas: int = 1
    changed: float = 0.05

    def __post_init__(self) -> None:
        wrong = [
            name
            for name in ("items", "qps", "candidates", "cores_per_replica", "memory_per_replica_gb")
            if not getattr(self, name) > 0
        ]
        if wrong:
            raise BadInput(f"plan: expected more than 0 for {', '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the arithmetic: `what` = `value` `unit`, by `how`."""

    what: str
    how: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer and how it came about."""

    steps: tuple[Step, ...]

    def value(self, what: str) -> float:
        """The value of one line."""
        return next(step.value for step in self.steps if step.what == what)


def constants_of(measured: Mapping[str, Any], given: Mapping[str, float]) -> dict[str, Constant]:
    """Each constant: given by hand, else measured; `BadInput` names those that are neither."""
    told = measured.get("constants", {})
    machine = measured.get("machine", {})
    source = f"measured {machine.get('date')} on {machine.get('cpu')}, {machine.get('cores')} cores"
    found = {name: Constant(float(value), source) for name, value in told.items() if name in NAMES}
    found |= {name: Constant(value, "given") for name, value in given.items()}
    absent = [name for name in NAMES if name not in found]
    if absent:
        lines = "\n".join(f"  {name}: {NAMES[name]}" for name in absent)
        raise BadInput(
            f"plan: no measured value and none given for\n{lines}\n"
            "hint: run `ellm bench capacity`, or give --constant name=value"
        )
    unusable = [name for name, one in found.items() if not (one.value > 0 or name == "fixed_ms")]
    if unusable or found["utilisation"].value > 1:
        raise BadInput(
            f"plan: expected constants above 0 and utilisation up to 1, got {told | dict(given)}"
        )
    return found


def make_plan(demand: Demand, constants: Mapping[str, Constant]) -> Plan:
    """Work a demand through."""
    value = {name: one.value for name, one in constants.items()}
    steps: list[Step] = []

    def step(what: str, how: str, result: float, unit: str) -> float:
        steps.append(Step(what, how, result, unit))
        return result

    d = demand
    request = step(
        "CPU of a request",
        f"{value['fixed_ms']:.2f} ms + {d.candidates:,} × {value['candidate_us']:.2f} µs",
        value["fixed_ms"] + d.candidates * value["candidate_us"] / 1e3,
        "ms",
    )
    busy = step(
        "cores at work", f"{d.qps:,.0f}/s × {request:.2f} ms", d.qps * request / 1e3, "cores"
    )
    needed = step(
        "cores needed",
        f"{busy:,.1f} / {value['utilisation']:.2f} used where the SLO still holds, rounded up",
        math.ceil(busy / value["utilisation"]),
        "cores",
    )
    by_cpu = math.ceil(needed / d.cores_per_replica)
    replicas = step(
        "replicas",
        f"{needed:,.0f} / {d.cores_per_replica} cores each, rounded up, + {d.spare_replicas} spare",
        by_cpu + d.spare_replicas,
        "replicas",
    )
    arena = step(
        "generation",
        f"{d.items:,.0f} items × {value['item_bytes']:,.0f} bytes",
        d.items * value["item_bytes"] / GB,
        "GB",
    )
    workers = step(
        "workers' own memory",
        f"{d.cores_per_replica} workers × {value['worker_mb']:,.0f} MB",
        d.cores_per_replica * value["worker_mb"] / 1e3,
        "GB",
    )
    _memory(step, d, value, arena, workers, replicas)
    step(
        "first encoding",
        f"{d.items:,.0f} items × {value['item_cpu_ms']:.2f} ms",
        d.items * value["item_cpu_ms"] / 3.6e6,
        "core hours",
    )
    step(
        "refresh a day",
        f"{d.changed:.0%} of the items × {value['item_cpu_ms']:.2f} ms",
        d.items * d.changed * value["item_cpu_ms"] / 3.6e6,
        "core hours",
    )
    return Plan(tuple(steps))


def _memory(
    step: Any, d: Demand, value: Mapping[str, float], arena: float, workers: float, replicas: float
) -> None:
    """A replica that holds the whole generation, or a cache over Redis where it cannot."""
    room = d.memory_per_replica_gb - workers
    redis = d.items * value["redis_item_bytes"] / GB
    how_redis = f"{d.items:,.0f} items × {value['redis_item_bytes']:,.0f} bytes"
    if arena <= room:
        step("memory of a replica", f"{arena:,.1f} + {workers:,.1f} GB", arena + workers, "GB")
        step(
            "memory of all replicas",
            f"{replicas:,.0f} replicas",
            replicas * (arena + workers),
            "GB",
        )
        step("Redis", f"0 needed; as a shared tier {how_redis}", redis, "GB")
        return
    step(
        "share of the generation a replica holds",
        f"({d.memory_per_replica_gb:,.0f} − {workers:,.1f}) / {arena:,.1f} GB: a cache over Redis",
        max(room, 0.0) / arena,
        "of it",
    )
    step(
        "memory that would hold all of it",
        f"{arena:,.1f} + {workers:,.1f} GB a replica; fewer, larger ones need no Redis",
        arena + workers,
        "GB",
    )
    step("Redis", how_redis, redis, "GB")
    step(
        "rows from Redis at most",
        f"{d.qps:,.0f}/s × {d.candidates:,} × the share not held (were requests spread evenly)",
        d.qps * d.candidates * (1 - max(room, 0.0) / arena) * value["redis_item_bytes"] / GB,
        "GB/s",
    )
