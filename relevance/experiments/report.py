"""One HTML page of an experiment's results: rates with intervals, differences, checks.

Figures come from the JSON files of `ellm audit`; wording is here, layout the template's. Nothing is
fetched from anywhere, every text is escaped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from relevance.errors import BadInput
from relevance.experiments.audit_files import read_result
from relevance.experiments.same_twice import LEVEL

TEMPLATE = "report.html.j2"
MINUS = "\N{MINUS SIGN}"
BARS = 20
SEGMENTS = {"all": "All queries", "head": "Head queries", "tail": "Tail queries"}
TITLES = {"goodrate": "Goodrate", "ctr": "Click-through rate"}
UNITS = {"goodrate": ("judged pairs", "queries"), "ctr": ("shoppers", "shoppers")}

View = dict[str, Any]


def render_results(folder: Path) -> str:
    """The page of a folder's results; the same files give the same bytes.

    Raises `BadInput` where the folder holds none.
    """
    found = {kind: read_result(folder / f"{kind}.json", kind) for kind in ("goodrate", "ctr", "aa")}
    if not any(found.values()):
        raise BadInput(f"{folder}: expected goodrate.json, ctr.json or aa.json, found none")
    measures = [_measure(kind, found[kind]) for kind in TITLES if found[kind] is not None]
    names = {one["experiment"] for one in measures}
    if len(names) > 1:
        raise BadInput(f"{folder}: expected results of one experiment, got {sorted(names)}")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        experiment=min(names, default=""),
        measures=measures,
        keys=_keys(found["ctr"]),
        aa=_same_twice(found["aa"]),
    )


def _measure(kind: str, result: Mapping[str, Any] | None) -> View:
    assert result is not None
    segments = result["segments"]
    rates = [r for part in segments for r in part["rates"].values()]
    gaps = [g for part in segments for g in part["differences"].values()]
    unit, cluster = UNITS[kind]
    return {
        "kind": kind,
        "title": TITLES[kind],
        "experiment": result["experiment"],
        "unit": unit,
        "cluster": cluster,
        "sentences": [*_sentences(kind, segments[0]), *_left_out(kind, result)],
        "parts": [_part(part, _Scale.of(rates), _Scale.of(gaps, zero=True)) for part in segments],
    }


class _Scale:
    """Where values lie on an axis, in percent of its width."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._width = low, (high - low) or 1.0

    @classmethod
    def of(cls, found: Sequence[Mapping[str, Any]], *, zero: bool = False) -> "_Scale":
        ends = [one[name] for one in found for name in ("low", "high", "value")]
        known = [end for end in ends if end is not None] + ([0.0] if zero else [])
        low, high = min(known, default=0.0), max(known, default=1.0)
        margin = 0.06 * ((high - low) or 1.0)
        return cls(low - margin, high + margin)

    def place(self, value: float) -> float:
        return round(100 * (value - self._low) / self._width, 3)

    def drawn(self, one: Mapping[str, Any]) -> View | None:
        """A dot with its whiskers."""
        if one["low"] is None or one["value"] is None:
            return None
        low, high = self.place(one["low"]), self.place(one["high"])
        return {"low": low, "width": round(high - low, 3), "value": self.place(one["value"])}


def _part(part: Mapping[str, Any], rates: _Scale, gaps: _Scale) -> View:
    return {
        "name": SEGMENTS[part["segment"]],
        "rates": [
            {
                "variant": name,
                "value": percent(rate["value"]),
                "interval": between(rate["low"], rate["high"], percent),
                "units": f"{rate['units']:,}",
                "clusters": f"{rate['clusters']:,}",
                "drawn": rates.drawn(rate),
            }
            for name, rate in part["rates"].items()
        ],
        "gaps": [
            {
                "variant": name,
                "value": points(gap["value"]),
                "interval": between(gap["low"], gap["high"], points),
                "p_value": p_value(gap["p_value"]),
                "verdict": _verdict(gap),
                "drawn": gaps.drawn(gap),
                "zero": gaps.place(0.0),
            }
            for name, gap in part["differences"].items()
        ],
    }


def _verdict(gap: Mapping[str, Any]) -> str:
    if gap["low"] is None:
        return "too few to say"
    if gap["low"] > 0:
        return "higher"
    return "lower" if gap["high"] < 0 else "no clear difference"


def _sentences(kind: str, whole: Mapping[str, Any]) -> list[str]:
    found = []
    for name, gap in whole["differences"].items():
        value, interval = points(gap["value"]), between(gap["low"], gap["high"], points)
        verdict = {
            "higher": f"{name} is higher than control",
            "lower": f"{name} is lower than control",
        }.get(_verdict(gap), f"{name} and control do not differ clearly")
        found.append(f"{TITLES[kind]}: {verdict}, by {value} points ({interval}).")
    return found


def _left_out(kind: str, result: Mapping[str, Any]) -> list[str]:
    if kind == "goodrate" and result["unjudged"]:
        return [f"{result['unjudged']:,} of {result['drawn']:,} drawn pairs were not judged."]
    if kind == "ctr" and result["crossed"]:
        return [f"{result['crossed']:,} shoppers came to two variants and were left out."]
    return []


def _keys(result: Mapping[str, Any] | None) -> View | None:
    if result is None:
        return None
    keys = result["keys"]
    rows = [
        {"variant": name, "seen": f"{seen:,}", "expected": f"{keys['expected'][name]:,.0f}"}
        for name, seen in keys["seen"].items()
    ]
    return {"rows": rows, "p_value": p_value(keys["p_value"])}


def _same_twice(result: Mapping[str, Any] | None) -> View | None:
    if result is None:
        return None
    known = [p for p in result["p_values"] if p is not None]
    counts = np.histogram(known, bins=BARS, range=(0, 1))[0]
    tallest = max(int(counts.max()), 1)
    rate = result["false_positives"]
    return {
        "bars": [round(100 * int(count) / tallest, 2) for count in counts],
        "even": round(100 * len(known) / BARS / tallest, 2),
        "splits": f"{result['splits']:,}",
        "shoppers": f"{result['keys']:,}",
        "rate": percent(rate),
        "naive": percent(result["naive_false_positives"]),
        "chance": between(result["low"], result["high"], percent),
        "level": f"{LEVEL:.0%}",
        "is_honest": result["low"] <= rate <= result["high"],
    }


def percent(value: float | None) -> str:
    """A share, with one digit behind the point."""
    return "–" if value is None else f"{value:.1%}"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "–" if value is None else f"{100 * value:+.2f}".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """A p-value as people read it."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def between(low: float | None, high: float | None, shown: Any) -> str:
    """An interval in words."""
    return "too few to say" if low is None or high is None else f"{shown(low)} to {shown(high)}"
