"""`ellm teach audit` on a small sample shop whose wrong labels are known."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.errors import BadInput
from relevance.folds import assign_folds, write_folds
from relevance.records import read_pairs
from relevance.sample_shop import ShopConfig, make_shop, write_shop
from teacher.commands import app


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    config = ShopConfig(items=400, labelled_queries=60, unlabelled_queries=60, label_noise=0.1)
    prefix = write_shop(make_shop(config), folder)
    pairs = read_pairs(Path(f"{prefix}_pairs.parquet"), labelled=True)
    write_folds(folder / "folds.parquet", assign_folds(pairs))
    rows = [
        {"query": p.query, "item_id": p.item_id, "good": int(p.good is True), "logit": 1.0}
        for p in pairs[:100]
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "scores.parquet")
    invoke("fit", "--data", prefix, "--folds", folder / "folds.parquet", "--fold", 0,
           "--out", folder / "judge")  # fmt: skip
    invoke(
        "audit", "--data", prefix, "--judgements", folder / "judge" / "judgements.parquet",
        "--student-scores", folder / "scores.parquet", "--known", f"{prefix}_gold.parquet",
        "--out", folder / "audit",
    )  # fmt: skip
    return folder


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_wrong_labels_lead_the_ranking(audited) -> None:
    content = json.loads((audited / "audit" / "audit.json").read_text())
    measured = content["label_errors"]["measured"]

    first = {row["k"]: row["teacher"] for row in measured["precision_at"]}
    assert 0.05 < measured["base_rate"] < 0.15
    assert first[20] > 3 * measured["base_rate"]
    assert measured["average_precision"]["teacher"] > 2.5 * measured["base_rate"]


def test_the_page_stands_beside_the_json(audited) -> None:
    content = json.loads((audited / "audit" / "audit.json").read_text())

    assert content["format"] == "relevance-audit/1"
    assert content["counts"]["with_student"] == 100
    page = (audited / "audit" / "audit.html").read_text()
    assert page.startswith("<!doctype html>")
    assert content["pairs"][0]["item_id"] in page


def test_an_unknown_target_is_refused(audited) -> None:
    with pytest.raises(BadInput, match="--target: expected one of direct, cot, marginal"):
        invoke("audit", "--data", audited / "shop", "--judgements", audited / "judge",
               "--target", "best", "--out", audited / "x")  # fmt: skip
