"""`ellm teach measure` end to end, on the hand-made shop."""

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.errors import BadInput
from relevance.folds import write_folds
from relevance.records import write_judgements, write_pairs
from teacher.commands import app
from teacher.fit_fold import fit_fold
from teacher.held_out_scores import JUDGEMENTS
from teacher.measures.run import fold_of
from tests.teacher.make_teacher import fold_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, data = tmp_path_factory.mktemp("shop"), fold_data()
    rows = []
    for item in data.items.values():
        row = asdict(item)
        rows.append({**row, "attributes_json": json.dumps(dict(item.attributes))})
        del rows[-1]["attributes"]
    (folder / "shop_items.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    write_pairs(folder / "shop_pairs.parquet", data.pairs)
    write_folds(folder / "folds.parquet", data.assignment)
    fitted = fit_fold(data, folder / "judge")
    judged = (j for part in fitted.judged.parts.values() for j in part)
    write_judgements(folder / "judge" / JUDGEMENTS, judged)
    return folder


def invoke(shop: Path, *more: object) -> str:
    words = (
        *("measure", "--data", shop / "shop", "--folds", shop / "folds.parquet"),
        *("--teacher", shop / "judge", "--out", shop / "out", "--of-each", 2, *more),
    )
    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_table_is_made(shop: Path) -> None:
    judged = shop / "judge" / JUDGEMENTS

    said = invoke(shop, "--ablation", "--transfer", shop / "shop", "--beside", f"itself={judged}")

    found = json.loads((shop / "out" / "measures.json").read_text())
    assert found["folds"] == [0]
    assert set(found["ablation"]) > {"everything", "aspects"}
    assert set(found["ranking"]["judges"]) == {
        "catalogue teacher",
        "token overlap",
        "BM25",
        "itself",
    }
    itself = found["ranking"]["judges"]["itself"]
    assert itself["teacher_minus_it"]["roc_auc"]["value"] == 0
    assert itself["mean"] == found["ranking"]["judges"]["catalogue teacher"]["mean"]
    assert found["transfer"]["shop"]["roc_auc"] > 0.9
    assert found["throughput"]["again"] > 0
    assert "**Counterfactuals**" in said


def test_a_students_scores_of_the_written_pairs_are_read_back(shop: Path) -> None:
    invoke(shop)
    pairs = pq.read_table(shop / "out" / "counterfactuals_pairs.parquet")
    scored = pairs.select(["query", "item_id"]).append_column(
        "logit", [[float(n) for n in range(len(pairs))]]
    )
    pq.write_table(scored, shop / "scores.parquet")

    invoke(shop, "--scores", f"student={shop / 'scores.parquet'}")

    rates = json.loads((shop / "out" / "measures.json").read_text())["counterfactuals"]
    assert set(rates["pass_rates"]) == {"catalogue teacher", "student"}
    with pytest.raises(BadInput, match="NAME=FILE"):
        invoke(shop, "--scores", "student")
    with pytest.raises(BadInput, match="expected one file for each of 1 teachers, got 2"):
        invoke(shop, *(("--student-scores", shop / "scores.parquet") * 2))


def test_a_folder_without_a_folds_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"judge\.json: expected a fold's judge"):
        fold_of(tmp_path)
