"""A synthetic run to report on: two folds, judges that know more and more, and what was served.

Whoever looks at the page finds its parser here; what the page must say is in the tests.
"""

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from relevance.domain import Judgement, Target
from relevance.records import DataSet, Pair, find_data_set, write_judgements, write_pairs
from trainer.evaluate import compare
from trainer.report import render_report
from trainer.score_files import write_scores

HOSTILE = '<script>alert("x")</script> & "quoted" {{ 7 * 7 }}'
COLORS = ("red", "blue", "green", "black", "white")
THINGS = ("water bottle", "desk lamp", "running shoe", "phone case", "rain jacket")


@dataclass(frozen=True, slots=True)
class Example:
    """A synthetic run: what `render_report` is given."""

    measures: dict[str, Any]
    data: DataSet
    folders: list[Path]
    live: dict[str, Any]

    def page(self, **changed: Any) -> str:
        given = {"measures": self.measures, "folders": self.folders, "live": self.live}
        return render_report(data=self.data, **{**given, **changed})


def make_example(folder: Path, *, folds: int = 2) -> Example:
    """Two folds of 120 pairs whose judges know more and more."""
    random = np.random.default_rng(0)
    titles = {f"I{at}": f"Acme {color} {thing}" for at, (color, thing) in enumerate(wares())}
    titles["I0"] = HOSTILE
    items = ({"item_id": key, "title": title} for key, title in titles.items())
    (folder / "shop_items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    pairs = [
        [
            Pair(f"{color} {thing} {fold}", f"I{item}", bool(item % 3), ("short", "long")[at % 2])
            for at, (color, thing) in enumerate(wares()[:12])
            for item in range(10)
        ]
        for fold in range(folds)
    ]
    write_pairs(folder / "shop_pairs.parquet", [pair for part in pairs for pair in part])
    folders = [folder / f"fold{fold}" for fold in range(folds)]
    for fold, part in zip(folders, pairs, strict=True):
        write_fold(fold, part, random)
    data = find_data_set(folder / "shop")
    return Example(compare(data, folders), data, folders, make_live(pairs[0], random))


def write_fold(folder: Path, pairs: list[Pair], random: np.random.Generator) -> None:
    signs = np.array([1.0 if pair.good else -1.0 for pair in pairs])

    def judged(skill: float) -> np.ndarray:
        return np.clip(signs * skill + random.normal(0, 1.5, len(pairs)), -8, 8)

    write_scores(folder / "ce_scores.parquet", pairs, judged(0.5))
    write_scores(folder / "mkd_scores.parquet", pairs, judged(0.9))
    (folder / "teacher").mkdir(parents=True)
    write_judgements(
        folder / "teacher" / "judgements.parquet",
        [
            Judgement("catalogue", pair.query, pair.item_id, Target.DIRECT, float(logit), "f0")
            for pair, logit in zip(pairs, judged(1.6), strict=True)
        ],
    )


def make_live(pairs: list[Pair], random: np.random.Generator) -> dict[str, Any]:
    served = [
        {
            "query": pair.query,
            "item_id": pair.item_id,
            "good": pair.good,
            "score": float(np.clip(0.3 + 0.4 * bool(pair.good) + random.normal(0, 0.2), 0, 1)),
        }
        for pair in pairs
    ]
    served[0]["score"] = None
    return {
        "bundle": "7f3a",
        "generation": "g-0001",
        "parity": {"encoder_max_difference": 2.1e-6, "maxima_differing": 0.0, "pairs": 200.0},
        "score_100_ms": 2.31,
        "score_1000_ms": 5.87,
        "served": served,
        "served_fold": "fold0",
        "explained": [make_entry(), make_entry(title=HOSTILE, good=None, spans=[])],
        "steps": [
            {"name": "fold0-teacher", "seconds": 12.3, "reused": True},
            {"name": "fold0-mkd", "seconds": 301.4, "reused": False},
        ],
    }


def make_entry(**changed: Any) -> dict[str, Any]:
    entry = {
        "query": "red water bottle",
        "item_id": "I3",
        "title": "Acme blue water bottle, 24 oz",
        "good": False,
        "score": 0.312,
        "label": "Bad",
        "threshold": 0.55,
        "teacher": {"judge": "catalogue", "state": "ok", "score": 0.12, "label": "Bad"},
        "chain_of_thought": "Query attributes:\n- color: red\nItem attributes:\n"
        "- color: blue -> mismatch\nFinal judgment: Bad - color mismatch",
        "aspects": [
            {"aspect": "color", "asked": "red", "offered": "blue", "verdict": "mismatch"},
            {"aspect": "brand", "asked": "hydra", "offered": None, "verdict": "missing"},
        ],
        "spans": [
            make_span("query", 0, 3, "irrelevant", "color"),
            make_span("query", 4, 16, "relevant", "product"),
            make_span("title", 5, 15, "irrelevant", "color"),
            make_span("title", 10, 22, "relevant", "product"),
        ],
        "contributions": [
            {"token": "red", "contribution": 1.9, "best_item_token": "blue", "cosine": 0.41},
            {"token": "bottle", "contribution": -0.2, "best_item_token": "oz", "cosine": -0.02},
        ],
        "bias": -2.5,
        "logit": -0.8,
    }
    return {**entry, **changed}


def make_span(side: str, start: int, end: int, relevance: str, aspect: str) -> dict[str, Any]:
    return {"side": side, "start": start, "end": end, "relevance": relevance, "aspect": aspect}


class Page(HTMLParser):
    """Checks nesting and gathers what the tests look at."""

    VOID = ("meta", "link", "br", "hr", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "srcset", "data"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def wares() -> list[tuple[str, str]]:
    return [(color, thing) for thing in THINGS for color in COLORS]


def seen(page: str) -> str:
    """The page's text without tags, white space as single blanks."""
    shown = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", shown).split())


def interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}
