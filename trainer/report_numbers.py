"""The report's words for figures: formats, the table of judges, differences and what they say.

Nothing is measured here; `evaluate.py` did that. An undefined figure is shown as a dash.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

UNDEFINED = "–"
SPACE = "\N{NO-BREAK SPACE}"

View = dict[str, Any]  # what a template reads


@dataclass(frozen=True, slots=True)
class Judge:
    """How a judge is called, and what it reads and learned from."""

    key: str
    name: str
    short: str
    reads: str


JUDGES = (
    Judge("overlap", "Token overlap", "Overlap", "query and title words; learns nothing"),
    Judge("ce", "CE student", "CE", "query and title; human labels only"),
    Judge("mkd", "MKD student", "MKD", "query and title; human labels and the teacher"),
    Judge(
        "teacher", "Catalogue teacher", "Teacher", "query, title and every other catalogue field"
    ),
)
NAMES = {judge.key: judge.name for judge in JUDGES}
TITLE_ONLY = ("overlap", "ce", "mkd")


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal.

    >>> percent(0.7184).replace(SPACE, " ")
    '71.8 %'
    """
    return f"{_typeset(f'{100 * value:.1f}')}{SPACE}%" if _known(value) else UNDEFINED


def points(value: float | None) -> str:
    """A difference of shares in percentage points, signed.

    >>> points(-0.0131)
    '−1.3'
    """
    if not _known(value):
        return UNDEFINED
    rounded = round(100 * value, 1)
    return "0.0" if rounded == 0 else _typeset(f"{rounded:+.1f}")


def decimals(value: float | None) -> str:
    """A figure that is no share, with three decimals."""
    return _typeset(f"{value:.3f}") if _known(value) else UNDEFINED


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
    Measure("log_loss", "Log loss, nats", "lower", decimals),
)
_UPSIDE_DOWN = {"teacher_minus_mkd": ", its own student"}
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
    """A row a comparison and measure: difference, interval, and what they say."""
    return [
        {
            "name": comparison_name(key),
            "measure": name,
            "difference": points(differences[key][measure]["value"]),
            "interval": interval_text(differences[key][measure]),
            "reading": reading(key, differences[key][measure]),
            "sentence": difference_sentence(key, name, differences[key][measure]),
        }
        for key in COMPARISONS
        for measure, name in COMPARED.items()
    ]


def comparison_name(key: str) -> str:
    """`MKD − CE`."""
    short = {judge.key: judge.short for judge in JUDGES}
    return " \N{MINUS SIGN} ".join(short[name] for name in COMPARISONS[key])


def interval_text(interval: Mapping[str, float]) -> str:
    """The interval's ends in points."""
    if not (_known(interval["low"]) and _known(interval["high"])):
        return UNDEFINED
    return f"{points(interval['low'])} to {points(interval['high'])}"


def difference_sentence(key: str, measure: str, interval: Mapping[str, float]) -> str:
    """Difference, interval and what follows from them, in a plain sentence."""
    first, second = (NAMES[name] for name in COMPARISONS[key])
    if not _known(interval["value"]):
        return f"{measure}: {reading(key, interval)}"
    said = f"{measure}: {first} \N{MINUS SIGN} {second} is {points(interval['value'])} points"
    ends = interval_text(interval)
    return f"{said} (95{SPACE}% interval {ends}). {reading(key, interval)}"


def reading(key: str, interval: Mapping[str, float]) -> str:
    """Whether the interval excludes 0 and who is ahead then, whichever way it went."""
    first, second = (_lower(NAMES[name]) for name in COMPARISONS[key])
    if not _known(interval["value"]):
        return "The difference is undefined for these pairs."
    if not (_known(interval["low"]) and _known(interval["high"])):
        return "There are too few queries for an interval: it shows nothing yet."
    if interval["low"] > 0:
        return f"The interval excludes 0: {first} is above {second}."
    if interval["high"] < 0:
        return f"The interval excludes 0: {first} is below {second}{_UPSIDE_DOWN.get(key, '')}."
    return "The interval includes 0: this run does not show a difference."


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
    if not (_known(gap["value"]) and _known(gain["value"])):
        return f"{name}: the teacher's lead over CE is undefined for these pairs."
    if gap["value"] <= 0:
        return f"{name}: the teacher is not above the CE student, so there is no lead to pass on."
    share = gain["value"] / gap["value"]
    lead = f"the teacher's lead over CE ({points(gap['value'])} points)"
    said = f"{name}: {percent(share)} of {lead} is closed"
    if share < 0:
        said = f"{name}: none of {lead} is closed, as the MKD student is below the CE one"
    if share > 1:
        certain = "" if left["high"] < 0 else ", though the interval of that difference includes 0"
        said += f": the student is measured above its teacher{certain}"
    if not gap["low"] > 0:
        said += "; that lead's own interval includes 0, so the share means little"
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
        if _known(models[key].get(measure.key))
    }
    return max(known, key=known.__getitem__) if known else None


def _minus(first: float | None, second: float | None) -> float | None:
    return first - second if _known(first) and _known(second) else None


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isnan(value)


def _typeset(number: str) -> str:
    return number.replace("-", "\N{MINUS SIGN}")


def _lower(name: str) -> str:
    """`the MKD student`: a judge's name inside a sentence."""
    return f"the {name if name[:2].isupper() else name.lower()}"
