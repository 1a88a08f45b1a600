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


def _ranking(found: Content) -> Iterator[str]:
    yield "**The teacher as fitted, fold by fold** (points)"
    yield ""
    yield from _table(("fold", *_MEASURES.values(), "calibration error"))
    names = (*_MEASURES, "calibration_error")
    for fold, row in found["teacher"].items():
        yield _row(fold, *(_share(row[name]) for name in names))
    folds = found["teacher"].values()
    yield _row("mean", *(_share(sum(row[n] for row in folds) / len(folds)) for n in names))
    yield ""
    chance = found["calibration_error_by_chance"]
    yield (
        f"Calibration error of all folds together: {_share(found['calibration_error_pooled'])}; "
        f"a calibrated judge would show {_share(chance['mean'])} ± {_share(chance['deviation'])}, "
        f"queries differing by {chance['query_spread']:.2f} in log-odds"
    )
    yield ""
    yield from _judges(found["judges"], found["left_out"])
    yield ""
    yield from _slices(found["slices"])


def _judges(found: Content, left_out: int) -> Iterator[str]:
    yield "**Beside other judges** (means over folds; pooled over folds; the teacher's lead [95 %])"
    yield ""
    lead = ("ROC-AUC lead", "Neg PR-AUC lead")
    yield from _table(("judge", *_MEASURES.values(), "pooled ROC / Neg", *lead))
    for name, row in found.items():
        ahead = row.get("teacher_minus_it")
        yield _row(
            name,
            *(_share(row["mean"][measure]) for measure in _MEASURES),
            _both(row["pooled"]),
            *((_interval(ahead[m]) for m in ("roc_auc", "neg_pr_auc")) if ahead else ("", "")),
        )
    if left_out:
        yield ""
        yield f"{left_out:,} pairs that some judge has no score of are left out of these tables."


def _slices(found: Content) -> Iterator[str]:
    yield "**Slices**, pooled over folds (ROC-AUC / Neg PR-AUC)"
    yield ""
    yield from _table(("judge", *found))
    counts = (f"{part['pairs']:,}, {_share(part['share_bad'])} %" for part in found.values())
    yield _row("pairs, Bad", *counts)
    for judge in next(iter(found.values()), {"judges": ()})["judges"]:
        yield _row(judge, *(_both(part["judges"][judge]) for part in found.values()))


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
    yield "**Ablation by family** (means over folds, points; differences to everything [95 %])"
    yield ""
    yield from _table(("without", *_MEASURES.values()))
    whole = found["everything"]["measures"]
    yield _row("nothing", *(_share(value) for value in whole))
    for name, row in found.items():
        if name != "everything":
            ranked = (_interval(row["differences"][m]) for m in ("roc_auc", "neg_pr_auc"))
            yield _row(name, *ranked, f"{100 * (row['measures'][2] - whole[2]):+.1f}")


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


def _both(found: Content) -> str:
    return f"{_share(found['roc_auc'])} / {_share(found['neg_pr_auc'])}"


def _agreement(found: Content) -> str:
    return f"{_share(found['accuracy'])} / {found['kappa']:.2f}"


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))


_MEASURES = {
    "roc_auc": "ROC-AUC",
    "neg_pr_auc": "Neg PR-AUC",
    "within_query_auc": "within-query AUC",
}
_SECTIONS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "ranking": _ranking,
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
