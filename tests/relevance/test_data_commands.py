"""`ellm data folds` and `hold-out`: what they print, write and refuse."""

import re

import pytest
from typer.testing import CliRunner

from relevance.data_commands import app
from relevance.errors import BadInput
from relevance.folds import read_folds
from relevance.records import Pair, read_pairs, write_pairs

QUERIES = [f"{colour} {thing}" for colour in ("red", "oak", "steel") for thing in ("desk", "lamp")]


@pytest.fixture
def shop(tmp_path):
    """A data set of six queries, one of them without a label."""
    pairs = [Pair(q, f"item-{at}", bool(at % 2)) for q in QUERIES for at in range(4)]
    write_pairs(tmp_path / "shop_pairs.parquet", [*pairs, Pair("blue sofa", "item-1")])
    (tmp_path / "shop_items.csv").write_text("item_id,title\nitem-1,Desk")
    return tmp_path / "shop"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_folds_are_written_and_counted(shop, tmp_path):
    found = invoke("folds", "--data", shop, "--out", tmp_path / "folds.parquet", "--folds", 3)

    folds = read_folds(tmp_path / "folds.parquet")
    assert found.exit_code == 0
    assert (
        re.findall(r"fold \d: (\d+) pairs, (\d+) queries, (.*)% Good", found.output)
        == [("8", "2", "50.0")] * 3
    )
    assert "without a label: 1" in found.output
    assert folds.hash in found.output
    assert folds.folds == 3


def test_too_few_folds_are_refused_with_the_usage(shop, tmp_path):
    found = invoke("folds", "--data", shop, "--out", tmp_path / "f.parquet", "--folds", 1)

    assert found.exit_code == 2
    assert not (tmp_path / "f.parquet").exists()


def test_unknown_data_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere_items.*: expected a file, found none"):
        invoke("folds", "--data", tmp_path / "nowhere", "--out", tmp_path / "f.parquet")


def test_pairs_that_hold_test_queries_or_items_are_left_out(shop, tmp_path):
    labelled = [p for p in read_pairs(tmp_path / "shop_pairs.parquet") if p.good is not None]
    write_pairs(tmp_path / "shop_pairs.parquet", labelled)
    invoke("folds", "--data", shop, "--out", tmp_path / "folds.parquet", "--folds", 3)
    folds = read_folds(tmp_path / "folds.parquet")
    tested = next(q for q in QUERIES if folds.assigned(q).fold == 1)
    planted = [Pair(f"{tested}s", "new"), Pair("green sofa", "item-1"), Pair("green sofa", "new")]
    write_pairs(tmp_path / "pool.parquet", planted)

    data, files = ("--data", shop, "--fold", 1), ("--folds", tmp_path / "folds.parquet")
    pool, out = ("--pairs", tmp_path / "pool.parquet"), ("--out", tmp_path / "clean.parquet")
    found = invoke("hold-out", *data, *files, *pool, *out)

    assert found.exit_code == 0
    assert read_pairs(tmp_path / "clean.parquet") == (Pair("green sofa", "new"),)
