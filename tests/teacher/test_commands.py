"""`ellm teach` on a tiny sample shop: from files to files."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.folds import assign_folds, write_folds
from relevance.records import Pair, read_judgements, read_pairs, write_pairs
from relevance.sample_shop import ShopConfig, make_shop, write_shop
from teacher.commands import app

COSINES = ("mean_maxsim_title", "mean_maxsim_text", "cosine_title", "cosine_text")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    config = ShopConfig(items=200, labelled_queries=30, unlabelled_queries=60)
    prefix = Path(str(write_shop(make_shop(config), folder)))
    pairs = read_pairs(folder / f"{prefix.name}_pairs.parquet", labelled=True)
    write_folds(folder / "folds.parquet", assign_folds(pairs))
    rows = [
        {"query": p.query, "item_id": p.item_id, **dict.fromkeys(COSINES, 0.5 + 0.1 * bool(p.good))}
        for p in pairs[:-5]
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "similarities.parquet")
    return prefix


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def fitted(shop: Path) -> tuple[Path, str]:
    out = shop.parent / "judge"
    said = invoke(
        *("fit", "--data", shop, "--folds", shop.parent / "folds.parquet", "--fold", 0),
        *("--similarities", shop.parent / "similarities.parquet", "--out", out),
    )
    return out, said


def test_fit_writes_a_judge_and_held_out_judgements(fitted: tuple[Path, str], shop: Path) -> None:
    out, said = fitted

    assert {path.name for path in out.iterdir()} == {
        "lexicon.json",
        "judge.json",
        "judgements.parquet",
    }
    pairs = read_pairs(Path(f"{shop}_pairs.parquet"))
    assert len(read_judgements(out / "judgements.parquet")) == len(pairs)
    assert f"5 of {len(pairs)} pairs have no similarities" in said
    assert said.count("ROC-AUC") == 3
    assert "test (look once, choose nothing by it)" in said


def test_judge_labels_pairs_that_nobody_labelled(fitted: tuple[Path, str], shop: Path) -> None:
    labelled = read_pairs(Path(f"{shop}_pairs.parquet"))[0]
    unlabelled = Pair("red thing", labelled.item_id)
    write_pairs(shop.parent / "asked.parquet", [labelled, unlabelled])
    out = shop.parent / "pseudo.parquet"

    said = invoke(
        *("judge", "--judge", fitted[0], "--items", f"{shop}_items.parquet"),
        *("--pairs", shop.parent / "asked.parquet", "--out", out),
    )

    assert [j.held_out_of for j in read_judgements(out)] == ["seen", None]
    assert "2 judgements, Good" in said


def test_lexicon_shows_terms_of_each_aspect(fitted: tuple[Path, str]) -> None:
    said = invoke("lexicon", "--judge", fitted[0], "--samples", 2)

    assert "color" in said
    assert "departments" in said


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, teacher.commands\n"
        "print([m for m in ('sklearn', 'scipy', 'rapidfuzz', 'pyarrow', 'lightgbm', 'pycrfsuite')"
        " if m in sys.modules])"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"
