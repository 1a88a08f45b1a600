"""A judging job from beginning to end: plan, folder, lock, judging, manifest, the merged file.

Where the figures are shown and what the options are called is `judge_commands.py`'s.
"""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from relevance.domain import Item
from teacher.judge_pairs import Summary, summary_of
from teacher.judge_plan import HeldOut, JudgePlan, plan_judging
from teacher.judge_progress import Meter, Prices
from teacher.judge_ray import Cluster, judge_over_ray
from teacher.judge_recipes import CatalogueRecipe, LLMRecipe
from teacher.judge_shards import ShardFolder, is_of, merge_shards

PARTS = ".parts"  # what the folder of shards is called beside the one file made of them


@dataclass(frozen=True)
class JudgeJob:
    """What is judged, by whom, and into shards of how many pairs."""

    recipe: CatalogueRecipe | LLMRecipe
    pairs: Path
    items: Mapping[str, Item]
    held_out: HeldOut
    shard_pairs: int

    def about(self, plan: JudgePlan) -> dict[str, Any]:
        """Everything that decides what stands in the shards."""
        return {
            "judge": self.recipe.name,
            "fingerprint": self.recipe.fingerprint(),
            "pairs": plan.pairs,
            "pairs_digest": plan.digest,
            "catalogue_digest": _digest_of(self.items),
            "held_out_of": self.held_out.name,
            "shard_pairs": self.shard_pairs,
            "shards": plan.shards,
        }


@dataclass(frozen=True)
class Finished:
    """How a job went: this run's figures, and the judgements of the whole job."""

    meter: Meter
    summary: Summary
    repeated: int

    def line(self) -> str:
        """The figures in a line."""
        repeated = f", {self.repeated:,} repeated rows judged once" if self.repeated else ""
        return self.meter.line() + repeated

    def content(self) -> dict[str, object]:
        """The figures as plain data."""
        return {**self.meter.content(), "summary": str(self.summary), "repeated": self.repeated}


def run_job(
    job: JudgeJob, out: Path, *, prices: Prices, cluster: Cluster | None = None
) -> Finished:
    """Judge every pair once, into a folder of shards, or into one file where `out` is a `.parquet`.

    A run that was stopped goes on. Raises `BadInput` where the folder holds another job's shards.
    """
    plan = plan_judging(job.pairs, shard_pairs=job.shard_pairs)
    one_file = out.suffix == ".parquet"
    place = out.with_name(out.name + PARTS) if one_file else out
    about = job.about(plan)
    if one_file and job.recipe.quick and not is_of(place, about):
        shutil.rmtree(place, ignore_errors=True)
    folder = ShardFolder.open(place, about)
    with folder.locked():
        meter, counts = _judged(job, plan, folder, prices, cluster)
        if one_file:
            merge_shards(place, out)
    if one_file:
        shutil.rmtree(place)
    return Finished(meter, summary_of(counts), plan.repeated)


def _judged(
    job: JudgeJob,
    plan: JudgePlan,
    folder: ShardFolder,
    prices: Prices,
    cluster: Cluster | None,
) -> tuple[Meter, Mapping[str, int]]:
    done = folder.done()
    already = min(len(done) * plan.shard_pairs, plan.pairs)
    meter = Meter(plan.pairs, already=already, prices=prices)
    work = plan.work(job.items, held_out=job.held_out, done=done)
    with tqdm(total=plan.pairs, initial=already, unit="pair", disable=None) as bar:

        def show(now: Meter) -> None:
            bar.update(now.already + now.pairs - bar.n)
            bar.set_postfix_str(now.line(), refresh=False)

        if cluster is None:
            job.recipe.judge(work, folder, meter, show)
        else:
            judge_over_ray(work, job.recipe, folder, meter, show, cluster=cluster)
    return meter, folder.finish(plan.shards)


def _digest_of(items: Mapping[str, Item]) -> str:
    """Sixteen hex digits over the items a judge may read."""
    whole = hashlib.sha256()
    for item_id in sorted(items):
        whole.update(repr(items[item_id]).encode())
    return whole.hexdigest()[:16]
