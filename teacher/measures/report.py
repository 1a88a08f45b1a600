"""Draws the measures as Markdown tables and keeps them as JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from relevance.atomic import write_text

Content = Mapping[str, Any]


def write_report(folder: Path, found: Content) -> None:
    """Write measures.json and measures.md."""
    write_text(folder / "measures.json", json.dumps(found, indent=2) + "\n")
    lines = [f"Data set {found['data']}, test parts of folds {_listed(found['folds'])}.", ""]
    for name, draw in _SECTIONS.items():
        if name in found:
            lines += [*draw(found[name]), ""]
    write_text(folder / "measures.md", "\n".join(lines).rstrip() + "\n")


def _verdicts(found: Content) -> Iterator[str]:
    yield "**Verdicts alone** (ROC-AUC, points; no weight fitted)"
    yield ""
    yield from _table(("verdicts", "token overlap", "difference [95 %]"))
    yield _row(_share(found["verdicts"]), _share(found["overlap"]), _interval(found["difference"]))


def _judged(found: Content) -> Iterator[str]:
    yield (
        f"**Judgements**: {found['judgements']:,}, Good {_share(found['good'])} %, unexplained "
        f"{_share(found['unexplained'])} % of Bad, overruled {_share(found['overruled'])} % of Good"
    )


def _faithfulness(found: Content) -> Iterator[str]:
    yield "**Faithfulness by deletion** (share of pairs whose score moves as claimed, %)"
    yield ""
    yield from _table(("pairs", "evidence deleted", "random words deleted", "difference [95 %]"))
    yield _row(
        f"{found['pairs']:,}",
        _share(found["moved_by_evidence"]),
        _share(found["moved_by_random"]),
        _interval(found["difference"]),
    )
    yield ""
    for label, (pairs, moved) in found["of_label"].items():
        yield f"- judged {label}: {_share(moved)} % of {pairs:,}"


def _counterfactuals(found: Content) -> Iterator[str]:
    rates = found["pass_rates"]
    judges = list(rates)
    yield f"**Counterfactuals**: {found['cases']:,} pairs; pass rate, %"
    yield ""
    yield from _table(("change", "pairs", *judges))
    for kind, (count, _) in rates[judges[0]].items():
        yield _row(kind, str(count), *(_share(rates[judge][kind][1]) for judge in judges))


def _throughput(found: Content) -> Iterator[str]:
    yield (
        f"**Throughput** a processor: {found['first']:,.0f} pairs a second with items unread, "
        f"{found['again']:,.0f} with their readings kept ({found['pairs']:,} pairs, judged with "
        "reasons and written)"
    )


def _ablation(found: Content) -> Iterator[str]:
    yield "**Ablation by family** (means over folds, points; differences to everything)"
    yield ""
    yield from _table(("without", "ROC-AUC", "Neg PR-AUC", "within-query AUC"))
    whole = found["everything"]
    yield _row("nothing", *(_share(value) for value in whole))
    for name, values in found.items():
        if name != "everything":
            changes = (f"{100 * (v - w):+.1f}" for v, w in zip(values, whole, strict=True))
            yield _row(name, *changes)


def _extraction(found: Content) -> Iterator[str]:
    yield "**Extraction on OA-Mine's test titles** (F1, %; all = micro)"
    yield ""
    yield from _table(("aspect", "annotated values", *found))
    for aspect in next(iter(found.values())):
        scores = [by_aspect[aspect] for by_aspect in found.values()]
        yield _row(aspect, str(scores[0]["annotated"]), *(_share(s["f1"]) for s in scores))


def _raters(found: Content) -> Iterator[str]:
    yield "**Beside human raters** (accuracy % / Cohen's kappa)"
    yield ""
    rows = next(iter(found.values()))
    yield from _table(("rater", "pairs", *found, "the other raters"))
    for at, row in enumerate(rows):
        judges = (_agreement(of[at]["teacher"]) for of in found.values())
        yield _row(row["rater"], str(row["pairs"]), *judges, _agreement(row["other_raters"]))


def _transfer(found: Content) -> Iterator[str]:
    yield "**Transfer**: judged unchanged (points)"
    yield ""
    yield from _table(
        (
            "data",
            "pairs",
            "Bad",
            "ROC-AUC",
            "Neg PR-AUC",
            "within",
            "cal. error",
            "overlap ROC / Neg",
        )
    )
    for name, row in found.items():
        yield _row(
            name,
            f"{row['pairs']:,}",
            *(_share(row[k]) for k in ("share_bad", "roc_auc", "neg_pr_auc", "within_query_auc")),
            _share(row["calibration_error"]),
            f"{_share(row['overlap_roc_auc'])} / {_share(row['overlap_neg_pr_auc'])}",
        )


def _table(names: tuple[str, ...]) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(found: Content) -> str:
    value, low, high = (100 * found[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def _agreement(found: Content) -> str:
    return f"{_share(found['accuracy'])} / {found['kappa']:.2f}"


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))


_SECTIONS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "judged": _judged,
    "verdicts_alone": _verdicts,
    "faithfulness": _faithfulness,
    "counterfactuals": _counterfactuals,
    "ablation": _ablation,
    "extraction": _extraction,
    "raters": _raters,
    "transfer": _transfer,
    "throughput": _throughput,
}
