"""Judges side by side: measures on unseen pairs, tokens a pair costs, and both as tables.

Models are asked over HTTP by `ellm teach judge`; what they are made of stands in `proof.py`.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from relevance.domain import LOG_ODDS_LIMIT, Item, Judgement, Target
from relevance.records import read_catalogue, read_judgements, read_pairs, write_pairs
from tests.vllm.checks import Measures, Seen, measured, seen_pairs, token_overlap
from tests.vllm.engine import serving
from tests.vllm.proof import JUDGED, PLACE, TUNED, Shops, ellm
from tests.vllm.shops import read_gold

HEADS = (
    "judge",
    "pairs",
    "ROC-AUC",
    "parsed",
    "grounded",
    "product F1",
    "with its verdict",
    "tokens read + written a pair",
)
DRAWN = 16  # chains of thought whose mean is the `marginal` judgement
EVERY_PAIR = LOG_ODDS_LIMIT + 1  # no log-odds are further from undecided
COUNTED = 14  # pairs of each way of asking whose tokens are counted
GUIDANCES = ("tuned", "few_shot")
ANSWERS = {
    "chain of thought, bound": ("--target", "cot"),
    "chain of thought, free": ("--target", "cot", "--free"),
    "judgement alone": ("--target", "direct"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One judge of the table: its measures on unseen pairs, and its tokens per pair."""

    judge: str
    pairs: int
    roc_auc: float
    measures: Measures | None = None
    free_parsed: float | None = None
    report: dict[str, Any] | None = None


class Judged:
    """What judges said about the unseen pairs, measured against labels and gold."""

    def __init__(self, shops: Shops) -> None:
        self.shops = shops
        self.items: dict[str, Item] = {
            item.item_id: item for item in read_catalogue(Path(f"{shops.unseen}_items.parquet"))
        }
        self.gold = read_gold(shops.unseen)

    def by_engine(
        self, name: str, address: str, pairs: Path, *targets: Target, more: Sequence[object] = ()
    ) -> tuple[list[list[Seen]], dict[str, Any]]:
        """Judgements over HTTP, those of one target after another, and the job's report."""
        out = PLACE / f"{name}.parquet"
        report = out.with_suffix(".json")
        out.unlink(missing_ok=True)
        ellm(
            *("teach", "judge", "--endpoint", address, "--pairs", pairs, "--out", out),
            *("--items", f"{self.shops.unseen}_items.parquet", *TUNED, "--report", report),
            *(word for target in targets for word in ("--target", target)),
            *("--at-once", 64, *more),
        )
        seen = [self.seen(pairs, read_judgements(out), target) for target in targets]
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
    """`cot`, `direct` and zero-step models, the annotator and token overlap, on unseen pairs.

    The tuned model's `marginal` judgements are drawn free-running, which takes fewer requests.
    """
    shops = judged.shops
    (seen,), report = judged.by_engine("cot", tuned_address, shops.judged, Target.COT)
    (free,), free_report = judged.by_engine(
        "cot-free", tuned_address, shops.judged, Target.COT, more=("--free",)
    )
    (_, mean), mean_report = judged.by_engine(
        *("cot-marginal", tuned_address, shops.judged, Target.COT, Target.MARGINAL),
        more=("--free", "--samples", DRAWN, "--uncertain", EVERY_PAIR),
    )
    found, loose, meant = measured(seen), measured(free), measured(mean)
    rows = [
        Row("cot", found.pairs, found.roc_auc, found, loose.parsed, report),
        Row("cot, free-running", loose.pairs, loose.roc_auc, loose, loose.parsed, free_report),
        Row("marginal", meant.pairs, meant.roc_auc, meant, meant.parsed, mean_report),
    ]
    with ExitStack() as engines:
        others = {
            name: engines.enter_context(serving(models[name], PLACE / f"engine-{name}.log"))
            for name in ("direct", "zero")
        }
        for name, target in (("direct", Target.DIRECT), ("zero", Target.COT)):
            (seen,), report = judged.by_engine(name, others[name], shops.compared, target)
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

    Nothing asked for them before, so that what the cache holds is what prompts share.
    """
    pairs = read_pairs(Path(f"{shops.unseen}_pairs.parquet"))[JUDGED:]
    found = {}
    for number, (guidance, answer) in enumerate(product(GUIDANCES, ANSWERS)):
        chosen, report = PLACE / "counted_pairs.parquet", PLACE / "counted.json"
        out = PLACE / "counted.parquet"
        out.unlink(missing_ok=True)
        write_pairs(chosen, pairs[number * COUNTED : (number + 1) * COUNTED])
        ellm(
            *("teach", "judge", "--endpoint", address, "--pairs", chosen, "--out", out),
            *("--items", f"{shops.unseen}_items.parquet", "--guidance", guidance),
            *("--max-tokens", 120, "--at-once", 2, "--report", report, *ANSWERS[answer]),
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
    lines = [f"| {' | '.join(HEADS)} |", "|" + " --- |" * len(HEADS), *map(_line, rows)]
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
