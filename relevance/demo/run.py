"""The demo from start to end: steps, the live part, the report, the summary.

`build/demo/<data set>/` holds what belongs to one data set; `report.html`, `summary.json` and
`latest` beside it are those of the latest run.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.atomic import replacing_file, write_text
from relevance.demo.live import serving
from relevance.demo.plan import Plan, serving_steps, shop_step, training_steps
from relevance.demo.showcase import show
from relevance.demo.steps import Step, StepRun, run_steps
from relevance.demo.summary import summarise
from relevance.records import DataSet, find_data_set

Say = Callable[[str], None]
FOLDS = 5
SHOP_FOLDS = 2  # the shop keeps half of its labelled queries for one test: a narrow interval
SHOP_STEPS, OWN_STEPS = 220, 300  # with the search, five folds of own data are 20 trainings
OWN_QUERIES = 4000  # unlabelled queries of the pool on own data: a bound on time
OWN_RATES = (5e-5, 1e-4)  # the recipes' rates were chosen on a shop; other data choose their own
# Queries of a shop's log ask for the same few products and can share their candidates; where they
# ask for everything under the sun, shared candidates would nearly all be Bad.
SHOP_BLOCK, OWN_BLOCK = 8, 1
# A catalogue answers few of such queries: most of the pool's Bad pairs are left out instead.
OWN_POOL = ("--good-share", "0.45", "--human-share", "0.5", "--pseudo-blocks", "4")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for; zeros and −1 stand for defaults."""

    data: Path | None
    out: Path
    folds: int
    steps: int
    max_queries: int | None
    shop_options: tuple[str, ...]


def run_demo(options: DemoOptions, *, say: Say) -> None:
    """Run everything and leave the report, the summary and a store ready to serve."""
    runs: list[StepRun] = []
    data = options.data
    if data is None:
        folder = options.out / "shop" / "data"
        steps = [shop_step(folder, options.shop_options)]
        runs += run_steps(steps, options.out / "shop" / "steps", say=say)
        data = folder / "shop"
    plan = _plan(options, find_data_set(data), data)
    record = plan.folder / "steps"
    runs += run_steps([*training_steps(plan), *serving_steps(plan)], record, say=say)
    live_file = plan.folder / "live.json"
    log = plan.folder / "service.log"
    say(f"start the service and ask it (its log: {log})")
    with serving(plan.store, plan.judge(plan.served_fold), log) as answers:
        live: Any = show(plan, answers, say=say)
    live["steps"] = [
        {"name": run.name, "seconds": run.seconds, "reused": run.reused} for run in runs
    ]
    write_text(live_file, json.dumps(live, ensure_ascii=False, indent=1) + "\n")
    say("")
    runs += run_steps(_report_steps(plan, live_file), record, say=say)
    _publish(plan, options.out, live, runs, say=say)


def _plan(options: DemoOptions, data_set: DataSet, prefix: Path) -> Plan:
    own = options.data is not None
    of_folds = FOLDS if own else SHOP_FOLDS
    count = options.folds or (FOLDS if own else 1)
    parts = (data_set.items, data_set.pairs, data_set.queries_unlabelled, data_set.query_log)
    return Plan(
        folder=options.out / data_set.name,
        data=prefix,
        inputs=tuple(path for path in parts if path is not None),
        of_folds=of_folds,
        folds=tuple(range(min(count, of_folds))),
        max_queries=OWN_QUERIES * own if options.max_queries is None else options.max_queries,
        block_queries=OWN_BLOCK if own else SHOP_BLOCK,
        steps=options.steps or (OWN_STEPS if own else SHOP_STEPS),
        rates=OWN_RATES if own else (),
        pool_options=OWN_POOL if own else (),
    )


def _report_steps(plan: Plan, live_file: Path) -> list[Step]:
    folders = [plan.fold(fold) for fold in plan.folds]
    measures, report = plan.folder / "measures.json", plan.folder / "report.html"
    named = [word for folder in folders for word in ("--folder", str(folder))]
    about = ("--data", str(plan.data), *named)
    scores = tuple(
        folder / f"{name}_scores.parquet" for folder in folders for name in ("ce", "mkd")
    )
    judged = tuple(folder / "teacher" / "judgements.parquet" for folder in folders)
    packages = ("relevance", "trainer")
    compare = ("evaluate", "compare", *about, "--out", str(measures))
    draw = (
        *("evaluate", "report", *about, "--measures", str(measures)),
        *("--live", str(live_file), "--out", str(report)),
    )
    inputs = (*scores, *judged, *plan.inputs)
    return [
        Step("compare", "compare teacher and students", compare, inputs, (measures,), packages),
        Step(
            "report", "draw the report", draw, (measures, live_file, *inputs), (report,), packages
        ),
    ]


def _publish(plan: Plan, out: Path, live: Any, runs: Sequence[StepRun], *, say: Say) -> None:
    """Make this run the latest: report, summary and the folder `make serve` opens."""
    measures = json.loads((plan.folder / "measures.json").read_text())
    summary = summarise(measures, live, runs, _searches(plan))
    write_text(plan.folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    for name in ("report.html", "summary.json"):
        with replacing_file(out / name) as temporary:
            shutil.copyfile(plan.folder / name, temporary)
    _point_latest(plan, out)
    say(f"\ndata set, checkpoints, scores   {plan.folder}")
    say(f"bundle                          {plan.bundle}")
    say(f"store (for `make serve`)        {plan.store}")
    say(f"report                          {out / 'report.html'}")
    say(f"summary                         {out / 'summary.json'}")


def _searches(plan: Plan) -> dict[str, Any]:
    """What each searched student was chosen from, as `ellm train choose` left it."""
    if not plan.rates:
        return {}
    students = [(fold, recipe) for fold in plan.folds for recipe in ("ce", "mkd")]
    return {
        f"fold{fold}-{recipe}": json.loads((plan.fold(fold) / recipe / "search.json").read_text())
        for fold, recipe in students
    }


def _point_latest(plan: Plan, out: Path) -> None:
    """`latest/store` and `latest/teacher` are links, replaced in one step each."""
    latest = out / "latest"
    latest.mkdir(exist_ok=True)
    for name, target in (("store", plan.store), ("teacher", plan.judge(plan.served_fold))):
        fresh = latest / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(target, latest))
        os.replace(fresh, latest / name)
