"""The teacher's whole road on a real engine: annotate, select, fine-tune, serve, judge.

Commands run as processes and pass files, as a user's would. Whatever is made without an engine is
kept while its commands and the code behind them stay the same (`relevance.demo.steps`).
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from relevance.demo.steps import Step, run_steps, step_key
from relevance.domain import Item, Judgement, Target
from relevance.records import read_catalogue, read_judgements, read_pairs, write_pairs
from tests.vllm.checks import Measures, Seen, measured, seen_pairs, token_overlap
from tests.vllm.engine import serving
from tests.vllm.shops import department, first_queries, merged, read_gold, write_unseen_pairs
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
    *("--global-batch", "16", "--micro-batch", "16", "--judgement-weight", "3"),
    *("--warmup", "0.02", "--beta2", "0.99", "--attention", "eager", "--save-every", "1000"),
)
COUNTED = 80  # pairs of each way of asking whose tokens are counted
GUIDANCES = ("tuned", "few_shot")
ANSWERS = {
    "chain of thought, bound": ("--target", "cot"),
    "chain of thought, free": ("--target", "cot", "--free"),
    "judgement alone": ("--target", "direct"),
}
STEPS = {"cot": 4500, "direct": 500, "zero": 0}
TUNED = ("--guidance", "tuned", "--reads", "short", "--max-tokens", "120")


@dataclass(frozen=True, slots=True)
class Shops:
    """Prefixes of the two shops, and the pairs of each: to learn from, and never seen."""

    learnt: Path
    unseen: Path
    pairs: Path
    judged: Path
    compared: Path


@dataclass(frozen=True, slots=True)
class Row:
    """One judge of the table: its measures on unseen pairs, and its tokens per pair."""

    judge: str
    pairs: int
    roc_auc: float
    measures: Measures | None = None
    free_parsed: float | None = None
    report: dict[str, Any] | None = None


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
    _run([_shop_step(name, *size) for name, size in SIZES.items()])
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
    chains, items = PLACE / "chains.parquet", Path(f"{shops.learnt}_items.parquet")
    out = PLACE / f"model-{name}"
    mode = ("--mode", "direct") if name == "direct" else ("--mode", "cot")
    words = (
        *("teach", "sft", start, chains, "--items", items, "--out", out),
        *(*mode, "--steps", STEPS[name], *TUNING),
    )
    return _step(f"sft-{name}", words, (chains, items, start), out)


def _step(name: str, words: Sequence[object], inputs: tuple[Path, ...], out: Path) -> Step:
    code = "teacher.sft" if name.startswith("sft") else "teacher.online"
    return Step(name, name, tuple(map(str, words)), inputs, (out,), (code,))


def _write_start(folder: Path, shops: Shops) -> None:
    import pyarrow.parquet as pq

    chains = pq.read_table(PLACE / "chains.parquet").to_pylist()
    write_small_model(
        folder,
        read_catalogue(Path(f"{shops.learnt}_items.parquet")),
        [f" {query}" for query in dict.fromkeys(row["query"] for row in chains)],
        [row["chain_of_thought"] for row in chains],
    )


class Judged:
    """What judges said about the unseen pairs, measured against labels and gold."""

    def __init__(self, shops: Shops) -> None:
        self.shops = shops
        self.items: dict[str, Item] = {
            item.item_id: item for item in read_catalogue(Path(f"{shops.unseen}_items.parquet"))
        }
        self.gold = read_gold(shops.unseen)

    def by_engine(
        self, name: str, address: str, pairs: Path, *, target: Target, free: bool = False
    ) -> tuple[list[Seen], dict[str, Any]]:
        """Judgements over HTTP, and the job's report."""
        out = PLACE / f"{name}-{target}{'-free' if free else ''}.parquet"
        report = out.with_suffix(".json")
        out.unlink(missing_ok=True)
        ellm(
            *("teach", "judge", "--endpoint", address, "--pairs", pairs, "--out", out),
            *("--items", f"{self.shops.unseen}_items.parquet", "--target", target),
            *(*TUNED, "--report", report, "--at-once", 64, *(("--free",) if free else ())),
        )
        seen = self.seen(pairs, read_judgements(out), target)
        return seen, json.loads(report.read_text(encoding="utf-8"))

    def by_catalogue(self, pairs: Path) -> list[Seen]:
        """What the catalogue judge says, from whose annotators the models learnt."""
        out = PLACE / "annotator.parquet"
        out.unlink(missing_ok=True)
        ellm(
            *("teach", "judge", "--judge", PLACE / "judge", "--pairs", pairs, "--out", out),
            *("--items", f"{self.shops.unseen}_items.parquet"),
        )
        return self.seen(pairs, read_judgements(out), None)

    def seen(
        self, pairs: Path, judgements: Sequence[Judgement], target: Target | None
    ) -> list[Seen]:
        """Every labelled pair beside what was said of it; `target` None takes any."""
        labels = {(p.query, p.item_id): bool(p.good) for p in read_pairs(pairs, labelled=True)}
        kept = [j for j in judgements if target in (None, j.target)]
        return seen_pairs(
            labels,
            self.items,
            self.gold,
            {(j.query, j.item_id): j.log_odds for j in kept},
            {(j.query, j.item_id): j.chain_of_thought for j in kept if j.chain_of_thought},
        )


def table_of(models: dict[str, Path], judged: Judged, tuned_address: str) -> list[Row]:
    """`cot`, `direct` and zero-step models, the annotator and token overlap, on unseen pairs."""
    shops = judged.shops
    seen, report = judged.by_engine("cot", tuned_address, shops.judged, target=Target.COT)
    free, free_report = judged.by_engine(
        "cot", tuned_address, shops.judged, target=Target.COT, free=True
    )
    found, loose = measured(seen), measured(free)
    rows = [
        Row("cot", found.pairs, found.roc_auc, found, loose.parsed, report),
        Row("cot, free-running", loose.pairs, loose.roc_auc, loose, loose.parsed, free_report),
    ]
    with ExitStack() as engines:
        others = {
            name: engines.enter_context(serving(models[name], PLACE / f"engine-{name}.log"))
            for name in ("direct", "zero")
        }
        for name, target in (("direct", Target.DIRECT), ("zero", Target.COT)):
            seen, report = judged.by_engine(name, others[name], shops.compared, target=target)
            found = measured(seen)
            said = found if target is Target.COT else None
            rows.append(Row(name, found.pairs, found.roc_auc, said, None, report))
    annotator = judged.by_catalogue(shops.judged)
    found = measured(annotator)
    rows.append(Row("annotator", found.pairs, found.roc_auc, found))
    rows.append(Row("token overlap", found.pairs, token_overlap(annotator)))
    return rows


def token_reports(shops: Shops, address: str) -> dict[str, dict[str, Any]]:
    """What a pair costs in tokens, by prompt and kind of answer; each on pairs of its own.

    Pairs are asked once only, so that what the cache holds of them is the shared beginning.
    """
    pairs, found = read_pairs(shops.judged), {}
    for number, (guidance, answer) in enumerate(product(GUIDANCES, ANSWERS)):
        chosen, report = PLACE / "counted_pairs.parquet", PLACE / "counted.json"
        out = PLACE / "counted.parquet"
        out.unlink(missing_ok=True)
        write_pairs(chosen, pairs[number * COUNTED : (number + 1) * COUNTED])
        ellm(
            *("teach", "judge", "--endpoint", address, "--pairs", chosen, "--out", out),
            *("--items", f"{shops.unseen}_items.parquet", "--guidance", guidance),
            *("--max-tokens", 120, "--at-once", 32, "--report", report, *ANSWERS[answer]),
        )
        found[f"{guidance}, {answer}"] = json.loads(report.read_text(encoding="utf-8"))
    lines = ["| prompt, answer | read | of them cached | written |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {told['prompt_tokens_per_pair']:,.0f} | {told['prefix_cache_hit_rate']:.0%} "
        f"| {told['completion_tokens_per_pair']:.0f} |"
        for name, told in found.items()
    ]
    (PLACE / "tokens.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


def write_table(rows: Sequence[Row]) -> None:
    """The table as Markdown and JSON beside the models."""
    told = [
        {
            "judge": row.judge,
            "pairs": row.pairs,
            "roc_auc": row.roc_auc,
            "measures": row.measures.content() if row.measures else None,
            "tokens_read": (row.report or {}).get("prompt_tokens_per_pair"),
            "tokens_written": (row.report or {}).get("completion_tokens_per_pair"),
        }
        for row in rows
    ]
    (PLACE / "table.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    head = "judge | pairs | ROC-AUC | parsed | grounded | product F1 | with its verdict | tokens read + written a pair"
    lines = [f"| {head} |", "|" + " --- |" * 8, *(_line(row) for row in rows)]
    (PLACE / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(row: Row) -> str:
    found, report = row.measures, row.report or {}
    shares = (
        [f"{v:.1%}" for v in (found.parsed, found.grounded)]
        + [f"{found.product_f1:.2f}", f"{found.verdict_f1:.2f}"]
        if found
        else ["–"] * 4
    )
    tokens = (
        f"{report['prompt_tokens_per_pair']:.0f} + {report['completion_tokens_per_pair']:.0f}"
        if report
        else "–"
    )
    return f"| {row.judge} | {row.pairs} | {row.roc_auc:.3f} | {' | '.join(shares)} | {tokens} |"
