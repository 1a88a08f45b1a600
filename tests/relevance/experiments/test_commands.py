"""The whole way: a pair log and a click log of a simulated experiment become one page."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.errors import BadInput, GateRefused
from relevance.experiments.audit_files import read_judged
from relevance.experiments.commands import app
from relevance.experiments.report import render_results
from relevance.records import read_pairs
from tests.relevance.experiments.shown import World, log_table, world
from tests.relevance.experiments.test_clicks import click_log

HOSTILE = '<script>alert("x")</script> & "lamp"'
PLAN = """version = 1
[variants.candidate]
store = "candidate"
[[experiments]]
name = "student"
salt = "student/1"
percent = { control = 50, candidate = 50 }
"""


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def one() -> World:
    return world(np.random.default_rng(11), queries=80)


@pytest.fixture(scope="module")
def folder(one, tmp_path_factory) -> Path:
    """A pair log whose rows say what the simulated world showed, and the plan it ran under."""
    made = tmp_path_factory.mktemp("experiment")
    (made / "experiments.toml").write_text(PLAN)
    shown, rows = one.shown, []
    for at in range(len(shown)):
        pair = {"variant": shown.variants[at], "query": renamed(shown.queries[at])}
        pair |= {"item_id": shown.item_ids[at], "score": float(shown.scores[at])}
        key = f"{shown.variants[at]}-{at % 200}"
        rows += [{**pair, "key": key}] * int(shown.mass[at])
    (made / "log").mkdir()
    pq.write_table(log_table(rows), made / "log" / "pairs-1.parquet")
    pa_csv.write_csv(click_log(np.random.default_rng(12), keys=400), made / "clicks.csv")
    return made


def renamed(query: str) -> str:
    return HOSTILE if query == "query 0" else query


def judge(path: Path, one: World) -> None:
    """People fill in the labels of the simulated world."""
    labels = {(renamed(query), item): good for (query, item), good in one.labels.items()}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["good"] = str(int(labels[row["query"], row["item_id"]]))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_sample_is_judged_read_and_shown_on_one_page(folder, one) -> None:
    plan, prefix, results = folder / "experiments.toml", folder / "audit", folder / "results"

    told = run("sample", folder / "log", prefix, "--plan", plan, "--pairs", 120)
    blind = Path(f"{prefix}_pairs.csv").read_text(encoding="utf-8")
    pairs = read_pairs(Path(f"{prefix}_pairs.csv"))
    judge(Path(f"{prefix}_pairs.csv"), one)
    rates = run("goodrate", prefix, "--out", results)
    clicks = run("ctr", folder / "clicks.csv", "--plan", plan, "--out", results)
    same = run("aa", folder / "clicks.csv", "--splits", 200, "--out", results)
    page = Path(run("report", results).strip()).read_text(encoding="utf-8")

    assert f"{len(pairs):,} to judge" in told
    assert "candidate" not in blind
    assert "control" not in blind
    assert len({(pair.query, pair.item_id) for pair in pairs}) == len(pairs)
    assert "candidate − control" in rates
    assert "candidate − control" in clicks
    assert "400 shoppers, 200 splits" in same
    for part in json.loads((results / "goodrate.json").read_text())["segments"]:
        for rate in part["rates"].values():
            assert f"{rate['value']:.1%}" in page
    assert "Did shoppers come as planned?" in page
    assert "400 shoppers, split in two 200 times" in " ".join(page.split())
    assert "built-in" not in page


def test_a_log_with_a_lost_variant_is_not_sampled(folder, tmp_path) -> None:
    table = pq.read_table(folder / "log" / "pairs-1.parquet")
    kept = [
        variant == "control" or int(key.partition("-")[2]) < 100
        for variant, key in zip(table["variant"].to_pylist(), table["key"].to_pylist(), strict=True)
    ]
    pq.write_table(table.filter(pa.array(kept)), tmp_path / "pairs-1.parquet")

    done = CliRunner().invoke(
        app,
        ["sample", str(tmp_path), str(tmp_path / "a"), "--plan", str(folder / "experiments.toml")],
    )

    assert isinstance(done.exception, GateRefused)
    assert "sample-ratio mismatch" in str(done.exception)
    assert not list(tmp_path.glob("a_*"))


def test_pairs_nobody_judged_are_refused(folder, tmp_path) -> None:
    run("sample", folder / "log", tmp_path / "a", "--plan", folder / "experiments.toml")

    with pytest.raises(BadInput, match="expected at least one pair with `good` 0 or 1"):
        read_judged(tmp_path / "a_pairs.csv")


class Page(HTMLParser):
    """Every address and script of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_escapes_what_it_shows_and_asks_nobody_for_anything(tmp_path) -> None:
    rate = {"value": 0.5, "low": None, "high": None, "standard_error": 0.1}
    rate |= {"clusters": 2, "effective_clusters": 2.0, "units": 2}
    result = {
        "format": "relevance-experiment/1",
        "kind": "goodrate",
        "experiment": HOSTILE,
        "segments": [{"segment": "all", "rates": {HOSTILE: rate}, "differences": {}}],
        "drawn": 3,
        "unjudged": 1,
    }
    (tmp_path / "goodrate.json").write_text(json.dumps(result))

    page = Page()
    page.feed(render_results(tmp_path))

    assert page.addresses == []
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 2
    assert "too few to say" in page.text
    assert "1 of 3 drawn pairs were not judged." in page.text
    assert not re.search(r"url\(|@import", render_results(tmp_path))


def test_a_folder_without_results_and_files_of_other_kinds_are_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match=r"expected goodrate\.json, ctr\.json or aa\.json"):
        render_results(tmp_path)
    (tmp_path / "ctr.json").write_text('{"format": "relevance-experiment/1", "kind": "aa"}')
    with pytest.raises(BadInput, match="expected relevance-experiment/1 of the kind ctr"):
        render_results(tmp_path)
