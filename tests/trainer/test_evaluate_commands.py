"""`ellm evaluate` as it is typed: a fold's test part is scored, folds are compared."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from relevance.folds import read_folds, split
from relevance.records import read_pairs, write_judgements
from tests.trainer.make_students import (
    CATALOGUE,
    make_checkpoint,
    make_judgement,
    shop_pairs,
    write_shop,
)
from trainer.evaluate_commands import app
from trainer.score_files import read_scores, write_scores
from trainer.scoring import score_text_pairs
from trainer.students.checkpoint import write_checkpoint


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> tuple[Path, Path]:
    return write_shop(tmp_path_factory.mktemp("shop"), shop_pairs()[::4])


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_the_test_part_of_one_fold_is_scored(shop, tmp_path, backbone_folder):
    data, folds = shop
    checkpoint = make_checkpoint(backbone_folder)
    write_checkpoint(tmp_path / "student", checkpoint)

    done = run(
        *("scores", "--checkpoint", tmp_path / "student", "--data", data, "--folds", folds),
        *("--fold", 1, "--out", tmp_path / "scores.parquet"),
    )

    labelled = read_pairs(Path(f"{data}_pairs.parquet"), labelled=True)
    test = split(read_folds(folds), labelled, fold=1).test
    pairs, logits = read_scores(tmp_path / "scores.parquet")
    assert done.exit_code == 0
    assert f"{len(test)} pairs scored" in done.output
    assert pairs == test
    assert logits == pytest.approx(score_text_pairs(checkpoint, test, CATALOGUE), abs=0.05)


def test_folds_are_compared_into_json_and_a_line_for_each_judge(shop, tmp_path):
    data, _ = shop
    pairs = shop_pairs()[::4]
    right = np.array([1.0 if pair.good else -1.0 for pair in pairs])
    folder = tmp_path / "fold0"
    write_scores(folder / "ce_scores.parquet", pairs, -right)
    write_scores(folder / "mkd_scores.parquet", pairs, right)
    judgements = [
        make_judgement(p.query, p.item_id, float(z)) for p, z in zip(pairs, right, strict=True)
    ]
    write_judgements(folder / "teacher" / "judgements.parquet", judgements)

    done = run("compare", "--data", data, "--folder", folder, "--out", tmp_path / "measures.json")

    measures = json.loads((tmp_path / "measures.json").read_text())
    assert done.exit_code == 0
    assert "mkd      ROC-AUC 1.0000  Neg PR-AUC 1.0000  within-query AUC 1.0000" in done.output
    assert "ce       ROC-AUC 0.0000" in done.output
    assert measures["differences"]["mkd_minus_ce"]["roc_auc"]["value"] == 1
    assert measures["counts"]["test_pairs"] == len(pairs)
