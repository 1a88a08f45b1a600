"""The teacher's whole road on a real engine: annotate, select, fine-tune, serve, judge.

Commands run as processes and pass files, as a user's would. Whatever is made without an engine is
kept while its commands and the code behind them stay the same (`relevance.demo.steps`).
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.demo.steps import Step, run_steps, step_key
from relevance.records import read_catalogue
from tests.vllm.shops import department, first_queries, merged, write_unseen_pairs
from tests.vllm.small_model import write_small_model

PLACE = Path("build/vllm")
DEPARTMENT = "clothing, shoes & jewelry"
SIZES = {  # seed, items, labelled queries; what starts with `shop` is learnt from
    "shop-1": (101, 12000, 6000),
    "shop-2": (102, 12000, 6000),
    "shop-3": (103, 12000, 6000),
    "fitted": (3, 6000, 1600),
    "unseen": (7, 4000, 300),
}
JUDGED = 480  # unseen pairs the tuned model judges
COMPARED = 240  # of them, those every other model judges as well
TUNING = (
    *("--from-config", "--readable", "--no-checkpointing", "--learning-rate", "0.003"),
    *("--global-batch", "16", "--micro-batch", "16"),
    *("--judgement-weight", "3", "--verdict-weight", "4"),  # few tokens decide, most only copy
    *("--warmup", "0.02", "--beta2", "0.99", "--attention", "eager", "--save-every", "1000"),
)
STEPS = {"cot": 4500, "direct": 500, "zero": 0}
FEW = 8000  # chains that `direct` and `zero` are given: as many as 500 steps take
TUNED = ("--guidance", "tuned", "--reads", "short", "--max-tokens", "120")


@dataclass(frozen=True, slots=True)
class Shops:
    """Prefixes of the two shops, and the pairs of each: to learn from, and never seen."""

    learnt: Path
    unseen: Path
    pairs: Path
    judged: Path
    compared: Path


def ellm(*words: object) -> str:
    """Run a command of ours; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "relevance", *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"ellm {' '.join(map(str, words))}\n{done.stderr[-3000:]}"
    return done.stdout


def made_shops() -> Shops:
    """Both shops, the training one without the other's queries."""
    with ThreadPoolExecutor(max_workers=2) as both_cores:  # a shop is made on one
        for made in [both_cores.submit(_run, [_shop_step(n, *size)]) for n, size in SIZES.items()]:
            made.result()
    parts = {name: department(PLACE / f"{name}-raw", PLACE / name, DEPARTMENT) for name in SIZES}
    unseen = parts["unseen"]
    learnt = merged({n: p for n, p in parts.items() if n.startswith("shop")}, PLACE / "learnt")
    shops = Shops(
        learnt,
        unseen,
        PLACE / "learnt_pairs.parquet",
        PLACE / "judged_pairs.parquet",
        PLACE / "compared_pairs.parquet",
    )
    write_unseen_pairs(
        shops.pairs, Path(f"{learnt}_pairs.parquet"), other_than=Path(f"{unseen}_pairs.parquet")
    )
    first_queries(Path(f"{unseen}_pairs.parquet"), shops.judged, most=JUDGED)
    first_queries(shops.judged, shops.compared, most=COMPARED)
    return shops


def made_models(shops: Shops) -> dict[str, Path]:
    """The fine-tuned models by name, and `zero`, which saw nothing."""
    _run(_annotation_steps(shops))
    start = PLACE / "untrained"
    _write_start(start, shops)
    _write_few()
    _run([_sft_step(name, shops, start) for name in STEPS])
    return {name: PLACE / f"model-{name}" for name in STEPS}


def _run(steps: Sequence[Step]) -> None:
    """Run or reuse each step; what a step made for other inputs is not gone on with."""
    for step in steps:
        stamp = PLACE / "steps" / f"{step.name}.json"
        if not stamp.exists() or json.loads(stamp.read_text())["key"] != step_key(step):
            for out in step.outputs:
                shutil.rmtree(out, ignore_errors=True)
                shutil.rmtree(out.with_name(f"{out.name}.unfinished"), ignore_errors=True)
        run_steps([step], PLACE / "steps", say=print)


def _shop_step(name: str, seed: int, items: int, queries: int) -> Step:
    folder = PLACE / f"{name}-raw"
    words = (
        *("data", "sample-shop", "--out", folder, "--seed", seed, "--items", items),
        *("--labelled-queries", queries, "--unlabelled-queries", 100),
    )
    out = folder / "shop_pairs.parquet"
    return Step(name, name, tuple(map(str, words)), (), (out,), ("relevance.sample_shop",))


def _annotation_steps(shops: Shops) -> list[Step]:
    fitted, items = PLACE / "fitted" / "shop", Path(f"{shops.learnt}_items.parquet")
    folds, judge = PLACE / "folds.parquet", PLACE / "judge"
    samples, chains = PLACE / "samples", PLACE / "chains.parquet"
    folded = ("data", "folds", "--data", fitted, "--out", folds)
    fit = ("teach", "fit", "--data", fitted, "--folds", folds, "--fold", 0, "--out", judge)
    annotate = ("teach", "annotate", "--judge", judge, "--items", items, "--pairs", shops.pairs)
    select = ("teach", "select", "--annotations", samples, "--pairs", shops.pairs)
    shop = Path(f"{fitted}_pairs.parquet")
    return [
        _step("folds", folded, (shop,), folds),
        _step("fit", fit, (shop, folds), judge),
        _step("annotate", (*annotate, "--out", samples), (judge, items, shops.pairs), samples),
        _step("select", (*select, "--out", chains), (samples, shops.pairs), chains),
    ]


def _sft_step(name: str, shops: Shops, start: Path) -> Step:
    chains = PLACE / ("chains.parquet" if name == "cot" else "few_chains.parquet")
    items, out = Path(f"{shops.learnt}_items.parquet"), PLACE / f"model-{name}"
    mode = ("--mode", "direct") if name == "direct" else ("--mode", "cot")
    words = (
        *("teach", "sft", chains, "--model", start, "--items", items, "--out", out),
        *(*mode, "--steps", STEPS[name], *TUNING),
    )
    return _step(f"sft-{name}", words, (chains, items, start), out)


def _step(name: str, words: Sequence[object], inputs: tuple[Path, ...], out: Path) -> Step:
    code = "teacher.sft" if name.startswith("sft") else "teacher.online"
    return Step(name, name, tuple(map(str, words)), inputs, (out,), (code,))


def _write_few() -> None:
    """Chains drawn from all of them: reading them all would take longer than the steps."""
    chains = pq.read_table(PLACE / "chains.parquet")
    drawn = sorted(Random(0).sample(range(len(chains)), min(FEW, len(chains))))
    with replacing_file(PLACE / "few_chains.parquet") as temporary:
        pq.write_table(chains.take(drawn), temporary)


def _write_start(folder: Path, shops: Shops) -> None:
    chains = pq.read_table(PLACE / "chains.parquet").to_pylist()
    write_small_model(
        folder,
        read_catalogue(Path(f"{shops.learnt}_items.parquet")),
        [f" {query}" for query in dict.fromkeys(row["query"] for row in chains)],
        [row["chain_of_thought"] for row in chains],
    )
