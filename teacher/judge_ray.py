"""Places a judging job's shards over a Ray cluster: each to a worker that runs the same recipe.

The output folder must be visible to every node under the same path (a shared disk): shards and
their journals are written where they are judged, so that a worker's death costs what was under way
and nothing else. Ray starts a lost worker anew and gives it its shard again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from relevance.errors import Unavailable
from teacher.judge_plan import ShardWork
from teacher.judge_progress import Meter
from teacher.judge_recipes import Show
from teacher.judge_shards import ShardFolder
from teacher.online.llm.wire import Usage

LOCAL = "local"  # a cluster of this machine alone, made for this job
_AHEAD = 2  # shards handed to each worker at a time
_RESTARTS = 5  # of one worker


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster by its address, `LOCAL` for one of this machine, and how many workers."""

    address: str
    workers: int


class Recipe(Protocol):
    """How shards are judged."""

    def judge(self, work: Iterable[ShardWork], out: ShardFolder, meter: Meter, show: Show) -> None:
        """Judge every shard."""
        ...


class _Worker:
    """What an actor is: a recipe and the folder it writes to."""

    def __init__(self, recipe: Recipe, out: ShardFolder) -> None:
        self._recipe, self._out = recipe, out

    def judge(self, work: ShardWork) -> tuple[int, Usage, Counter[str]]:
        """Judge one shard; what it took. A shard that is there already is left alone."""
        meter = Meter(len(work.pairs))
        if work.number not in self._out.done():
            self._recipe.judge([work], self._out, meter, _unseen)
        return len(work.pairs), meter.usage, meter.faults


def judge_over_ray(
    work: Iterable[ShardWork],
    recipe: Recipe,
    out: ShardFolder,
    meter: Meter,
    show: Show,
    *,
    cluster: Cluster,
) -> None:
    """Judge every shard on the cluster's workers.

    Raises `Unavailable` where the cluster or a worker is lost for good; finished shards stay.
    """
    with _opened(cluster) as ray:
        place = ray.remote(num_cpus=1, max_restarts=_RESTARTS, max_task_retries=_RESTARTS)(_Worker)
        placed = [place.remote(recipe, out) for _ in range(cluster.workers)]
        for done in _finished(ray, placed, work):
            meter.add_shard(*done)
            show(meter)


def _finished(ray: Any, placed: list[Any], work: Iterable[ShardWork]) -> Iterator[Any]:
    """What each shard took, as they finish; never more under way than workers can soon take."""
    coming, under_way = iter(work), dict[Any, Any]()

    def hand_out(worker: Any) -> None:
        if (shard := next(coming, None)) is not None:
            under_way[worker.judge.remote(shard)] = worker

    for worker in placed * _AHEAD:
        hand_out(worker)
    while under_way:
        (ready,), _ = ray.wait(list(under_way), num_returns=1)
        worker = under_way.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayTaskError as fault:
            raise fault.cause from fault
        except ray.exceptions.RayError as fault:
            raise Unavailable(f"a Ray worker was lost: {str(fault)[:300]}") from fault
        hand_out(worker)


@contextmanager
def _opened(cluster: Cluster) -> Iterator[Any]:
    import ray  # only here: nobody else needs it

    options: dict[str, Any] = {"num_cpus": cluster.workers}
    if cluster.address != LOCAL:
        options = {"address": cluster.address}
    try:
        ray.init(**options, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as fault:
        raise Unavailable(f"Ray at {cluster.address}: {fault}") from fault
    try:
        yield ray
    finally:
        ray.shutdown()


def _unseen(meter: Meter) -> None:
    """Nobody watches a worker."""
