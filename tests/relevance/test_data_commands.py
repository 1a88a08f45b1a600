"""`ellm data folds` and `hold-out`: what they print, write and refuse."""

import re

import pytest
from typer.testing import CliRunner

from relevance.data_commands import app
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.folds import read_folds
from relevance.records import Pair, find_data_set, read_catalogue, read_pairs, write_pairs

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


def test_titles_alone_are_left_of_items_and_all_else_is_as_it_was(tmp_path):
    (tmp_path / "shop_items.csv").write_text(
        "item_id,title,brand,bullet_points,extra\n1,Oak  desk,Acme,Solid oak,9\n2,,Acme,,\n"
    )
    (tmp_path / "shop_pairs.csv").write_text("query,item_id,good,label\ndesk,1,1,Exact\n")
    (tmp_path / "shop_queries_unlabelled.jsonl").write_text('{"query": "lamp"}\n')

    done = invoke("titles", "--data", tmp_path / "shop", "--out", tmp_path / "titles" / "shop")

    assert done.output == f"2 items with their titles alone: {tmp_path}/titles/shop\n"
    found = find_data_set(tmp_path / "titles" / "shop")
    assert read_catalogue(found.items) == (Item("1", "Oak desk"), Item("2", ""))
    for name in ("shop_pairs.csv", "shop_queries_unlabelled.jsonl"):
        assert (tmp_path / "titles" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert found.query_log is None


def test_a_data_set_is_never_stripped_in_place(shop, tmp_path):
    before = (tmp_path / "shop_pairs.parquet").read_bytes()

    with pytest.raises(BadInput, match=r"shop_pairs\.parquet: expected another prefix"):
        invoke("titles", "--data", shop, "--out", tmp_path / "." / "shop")

    assert (tmp_path / "shop_pairs.parquet").read_bytes() == before
    assert not (tmp_path / "shop_items.parquet").exists()
