"""The report's words for figures: formats, the table of judges, differences and what they say.

Nothing is measured here; `evaluate.py` did that. An undefined figure is shown as a dash.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNDEFINED = "–"
SPACE = "\N{NO-BREAK SPACE}"

View = dict[str, Any]  # what a template reads


@dataclass(frozen=True, slots=True)
class Judge:
    """How a judge is called, and what it reads and learned from."""

    key: str
    name: str
    reads: str


JUDGES = (
    Judge("overlap", "Token overlap", "query and title words; learns nothing"),
    Judge("ce", "CE student", "query and title; human labels only"),
    Judge("mkd", "MKD student", "query and title; human labels and the teacher"),
    Judge("teacher", "Catalogue teacher", "query, title and every other catalogue field"),
)
NAMES = {judge.key: judge.name for judge in JUDGES}
TITLE_ONLY = ("overlap", "ce", "mkd")


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal.

    >>> percent(0.7184).replace(SPACE, " ")
    '71.8 %'
    """
    return UNDEFINED if _undefined(value) else f"{_tenths(100 * _known(value))}{SPACE}%"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, signed.

    >>> points(-0.0131)
    '−1.3'
    """
    if _undefined(value):
        return UNDEFINED
    rounded = round(100 * _known(value), 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}")


def decimals(value: float | None) -> str:
    """A figure that is no share, with three decimals."""
    return UNDEFINED if _undefined(value) else f"{_known(value):.3f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of the table of judges: its name, which end is better, its format."""

    key: str
    name: str
    better: str
    show: Callable[[float | None], str]


MEASURES = (
    Measure("roc_auc", "ROC-AUC", "higher", percent),
    Measure("neg_pr_auc", "Neg PR-AUC", "higher", percent),
    Measure("within_query_auc", "Within-query AUC", "higher", percent),
    Measure("calibration_error", "Calibration error", "lower", percent),
    Measure("brier", "Brier", "lower", decimals),
    Measure("log_loss", "Log loss (nats)", "lower", decimals),
)
COMPARED = {"roc_auc": "ROC-AUC", "neg_pr_auc": "Neg PR-AUC"}
COMPARISONS = {
    "mkd_minus_ce": ("mkd", "ce"),
    "teacher_minus_ce": ("teacher", "ce"),
    "teacher_minus_mkd": ("teacher", "mkd"),
}


def judge_rows(
    models: Mapping[str, Mapping[str, float]], measures: Sequence[Measure]
) -> list[View]:
    """A row a judge, a cell a measure; the best title-only judge of each column is marked."""
    best = {measure.key: _best_title_only(models, measure) for measure in measures}
    return [
        {
            "judge": judge,
            "cells": [
                {
                    "text": measure.show(models[judge.key].get(measure.key)),
                    "best": best[measure.key] == judge.key,
                }
                for measure in measures
            ],
        }
        for judge in JUDGES
    ]


def difference_rows(differences: Mapping[str, Any]) -> list[View]:
    """A row a comparison and measure: difference, interval, and a sentence that says it."""
    return [
        {
            "name": comparison_name(key),
            "measure": name,
            "difference": points(differences[key][measure]["value"]),
            "interval": interval_text(differences[key][measure]),
            "sentence": difference_sentence(key, name, differences[key][measure]),
        }
        for key in COMPARISONS
        for measure, name in COMPARED.items()
    ]


def comparison_name(key: str) -> str:
    """`MKD student − CE student`."""
    first, second = COMPARISONS[key]
    return f"{NAMES[first]} \N{MINUS SIGN} {NAMES[second]}"


def interval_text(interval: Mapping[str, float]) -> str:
    """The interval's ends in points."""
    if _undefined(interval["low"]) or _undefined(interval["high"]):
        return UNDEFINED
    return f"{points(interval['low'])} to {points(interval['high'])}"


def difference_sentence(key: str, measure: str, interval: Mapping[str, float]) -> str:
    """Whether the interval excludes 0, in a plain sentence, whichever way it went."""
    first, second = (NAMES[name] for name in COMPARISONS[key])
    value, low, high = (interval[end] for end in ("value", "low", "high"))
    if _undefined(value):
        return f"{measure}: the difference is undefined for these pairs."
    ends = f"95{SPACE}% interval {interval_text(interval)}"
    said = f"{measure}: {first} \N{MINUS SIGN} {second} is {points(value)} points"
    if _undefined(low) or _undefined(high):
        return f"{said}; too few queries for an interval, so it shows nothing yet."
    if low > 0:
        return f"{said} ({ends}). The interval excludes 0: {_lower(first)} is ahead."
    if high < 0:
        return f"{said} ({ends}). The interval excludes 0: {_lower(first)} is behind."
    return f"{said} ({ends}). The interval includes 0: this run does not show a difference."


def gap_sentences(differences: Mapping[str, Any]) -> list[str]:
    """For each measure the share of the teacher's lead over CE that MKD has closed."""
    return [
        _gap_sentence(name, *(differences[key][measure] for key in COMPARISONS))
        for measure, name in COMPARED.items()
    ]


def _gap_sentence(
    name: str,
    gain: Mapping[str, float],
    gap: Mapping[str, float],
    left: Mapping[str, float],
) -> str:
    if _undefined(gap["value"]) or _undefined(gain["value"]):
        return f"{name}: the teacher's gap is undefined for these pairs."
    if gap["value"] <= 0:
        return f"{name}: the teacher is not above the CE student, so there is no gap to close."
    share = gain["value"] / gap["value"]
    said = (
        f"{name}: {percent(share)} of the teacher's gap of {points(gap['value'])} points is closed"
    )
    if share < 0:
        said = (
            f"{name}: none of the teacher's gap is closed, as the MKD student is below the CE one"
        )
    if share > 1:
        certain = "" if left["high"] < 0 else ", though the interval of that difference includes 0"
        said += f": the student is measured above its teacher{certain}"
    if not gap["low"] > 0:
        said += "; the gap's own interval includes 0, so the share means little"
    return said + "."


def slice_rows(slices: Sequence[Mapping[str, Any]]) -> list[View]:
    """Head and long tail first, as they came; then every other slice."""
    ordered = sorted(slices, key=lambda row: not row["slice"].startswith(("head", "long-tail")))
    return [
        {
            "name": row["slice"],
            "pairs": f"{row['pairs']:,}",
            "share_bad": percent(row["share_bad"]),
            "cells": [percent(row[measure].get(j.key)) for measure in COMPARED for j in JUDGES],
            "gain": points(_minus(row["roc_auc"].get("mkd"), row["roc_auc"].get("ce"))),
        }
        for row in ordered
    ]


def fold_rows(per_fold: Mapping[str, Any]) -> list[View]:
    """A row a fold: ROC-AUC and Neg PR-AUC of each judge and MKD − CE in ROC-AUC."""
    return [
        {
            "name": fold,
            "cells": [percent(models[j.key].get(m)) for m in COMPARED for j in JUDGES],
            "gain": points(_minus(models["mkd"].get("roc_auc"), models["ce"].get("roc_auc"))),
        }
        for fold, models in per_fold.items()
    ]


def _best_title_only(models: Mapping[str, Mapping[str, float]], measure: Measure) -> str | None:
    sign = 1 if measure.better == "higher" else -1
    known = {
        key: sign * models[key][measure.key]
        for key in TITLE_ONLY
        if not _undefined(models[key].get(measure.key))
    }
    return max(known, key=known.__getitem__) if known else None


def _minus(first: float | None, second: float | None) -> float | None:
    return None if _undefined(first) or _undefined(second) else _known(first) - _known(second)


def _undefined(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _tenths(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _lower(name: str) -> str:
    """`the MKD student`: a judge's name inside a sentence."""
    return f"the {name if name[:2].isupper() else name.lower()}"
