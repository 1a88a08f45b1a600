"""A data set's numbers against counts by hand."""

import json

import pytest
from typer.testing import CliRunner

from relevance.data_commands import app
from relevance.data_stats import data_set_statistics, part_statistics
from relevance.domain import Item, Judgement, Target
from relevance.errors import BadInput
from relevance.folds import assign_folds, write_folds
from relevance.records import Pair, write_judgements, write_pairs

CATALOGUE = {"1": Item("1", "red lamp"), "2": Item("2", "blue desk lamp"), "3": Item("3", "")}


@pytest.fixture
def data(tmp_path):
    rows = ({"item_id": item.item_id, "title": item.title} for item in CATALOGUE.values())
    (tmp_path / "shop_items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pairs = [Pair(f"lamp {at}", item, item == "1") for at in range(20) for item in ("1", "2")]
    write_pairs(tmp_path / "shop_pairs.parquet", pairs)
    write_folds(tmp_path / "folds.parquet", assign_folds(pairs))
    pool = [Pair("desk", "2"), Pair("desk", "3"), Pair("red desk", "1")]
    write_pairs(tmp_path / "pool.parquet", pool)
    judged = [
        Judgement("teacher:test", p.query, p.item_id, Target.DIRECT, z, "0")
        for p, z in zip(pool, (1.0, -1.0), strict=False)
    ]
    write_judgements(tmp_path / "judged.parquet", judged)
    return tmp_path


def test_distinct_queries_items_labels_and_words_are_counted():
    pairs = [Pair("red lamp", "1", True), Pair("red lamp", "2", False), Pair("a", "2")]

    found = part_statistics("some", pairs, CATALOGUE)

    assert (found.pairs, found.queries, found.items) == (3, 2, 2)
    assert (found.good, found.bad) == (1, 1)
    assert (found.query_words, found.title_words) == (1.5, 2.5)


def test_a_folds_parts_add_up_to_the_labelled_pairs_and_a_pool_counts_verdicts(data):
    rows = data_set_statistics(
        data / "shop",
        folds=data / "folds.parquet",
        fold=1,
        pool=data / "pool.parquet",
        judgements=data / "judged.parquet",
    )

    by_part = {row.part: row for row in rows}
    assert list(by_part) == ["labelled", "train", "validation", "test", "pool"]
    assert by_part["labelled"].pairs == 40
    assert sum(by_part[name].pairs for name in ("train", "validation", "test")) == 40
    assert sum(by_part[name].queries for name in ("train", "validation", "test")) == 20
    assert (by_part["pool"].pairs, by_part["pool"].good, by_part["pool"].bad) == (3, 1, 1)


def test_the_command_prints_a_row_a_part_and_dashes_where_nothing_is_labelled(data):
    words = ["stats", "--data", data / "shop", "--pool", data / "pool.parquet"]

    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    lines = done.output.splitlines()
    assert lines[2] == "| labelled | 40 | 20 | 2 | 20 | 20 | 50.0 | 2.0 | 2.0 | 2.5 |"
    assert lines[3] == "| pool | 3 | 2 | 3 | 0 | 0 | – | 1.5 | 1.5 | 1.7 |"
    assert len(lines) == 4


def test_judgements_without_the_pool_they_judge_are_refused(data):
    words = ["stats", "--data", data / "shop", "--judgements", data / "judged.parquet"]

    done = CliRunner().invoke(app, [str(word) for word in words])

    assert isinstance(done.exception, BadInput)
    assert "expected --pool beside it" in str(done.exception)
