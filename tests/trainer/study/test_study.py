"""A study end to end on the toy shop: planned, run, resumed, and its tables."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from relevance.errors import BadInput
from relevance.folds import holdout, read_folds, split
from relevance.records import read_judgements, read_pairs, write_judgements, write_pairs
from teacher.judge_shards import ShardFolder, rows_of
from tests.trainer.make_students import make_judgement, shop_pairs, write_shop
from tests.trainer.test_train import right_judgement
from trainer.adapt import read_adaptation_card
from trainer.study.cells import Cell, read_cell
from trainer.study.material import StudyMaterial, bounded_pool
from trainer.study.plan import SECONDS_PER_STEP, Bounds, expected_seconds, plan_study
from trainer.study.rows import (
    ADAPTED,
    BASELINE,
    MKD,
    TITLE_ONLY,
    TITLE_ONLY_FOLDER,
    quick_rows,
    study_rows,
)


@pytest.fixture(autouse=True)
def _as_before():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> tuple[Path, Path]:
    """The toy shop and, for fold 0 alone, a teacher that is right: as the demo lays it out."""
    folder = tmp_path_factory.mktemp("work")
    pairs = [pair for at, pair in enumerate(shop_pairs()) if at % 3 == 0]
    data, folds = write_shop(folder, pairs)
    parts = split(read_folds(folds), read_pairs(Path(f"{data}_pairs.parquet")), fold=0)
    held = holdout(parts, queries_of=parts.validation)
    free = [p for p in shop_pairs(labelled=False) if not held.holds_query(p.query)]
    pool = [pair for pair in free if not held.holds_item(pair.item_id)]
    write_pairs(folder / "fold0" / "pool.parquet", pool)
    known = {(pair.query, pair.item_id): pair for pair in shop_pairs()}
    write_judgements(
        folder / "fold0" / "pool_judgements.parquet",
        [right_judgement(known[pair.query, pair.item_id]) for pair in pool],
    )
    write_judgements(
        folder / "fold0" / "teacher" / "judgements.parquet",
        [
            make_judgement(p.query, p.item_id, 2.0 * bool(p.good) - 1, held_out_of="0")
            for p in pairs
        ],
    )
    return data, folder


def test_judgements_may_be_folders_of_shards(work, tmp_path):
    """The same training data; cells made from other files are other cells."""
    data, folder = work
    shutil.copytree(folder, tmp_path / "work")
    fold = tmp_path / "work" / "fold0"
    for file in (fold / "pool_judgements.parquet", fold / "teacher" / "judgements.parquet"):
        shards = ShardFolder.open(file.with_suffix(""), {"job": file.stem})
        shards.write(0, rows_of(read_judgements(file)), Counter())
        shards.finish(1)
        file.unlink()
    files, shards = (StudyMaterial(data, at, "b") for at in (folder, tmp_path / "work"))

    assert shards.has_teacher(0)
    assert shards.training_data(0, taught=True) == files.training_data(0, taught=True)
    assert shards.inputs(0, taught=True) != files.inputs(0, taught=True)
    assert shards.inputs(0, taught=False) == files.inputs(0, taught=False)
    assert not shards.has_teacher(1)


def run(work, out: Path, *words: object):
    from trainer.study_commands import app

    data, folder = work
    fixed = ("--data", data, "--work", folder, "--out", out, "--cache", out / "cache")
    typed = [str(word) for word in (*fixed, "--threads", 1, "--steps", 2, *words)]
    return CliRunner().invoke(app, typed, catch_exceptions=False)


def row_options(*names: str) -> list[str]:
    return [word for name in names for word in ("--row", name)]


def test_planning_says_the_cost_and_what_cannot_be_run_and_runs_nothing(
    work, tmp_path, wide_backbone_folder
):
    done = run(work, tmp_path / "out", "--plan", "--backbone", wide_backbone_folder)

    assert "0 cells are finished," in done.output
    assert "minutes on two cores" in done.output
    assert "cannot run MKD-ColBERT, fold 1: no judgements of a teacher in" in done.output
    assert "cannot run MKD-ColBERT, pool 100,000, fold 0: the pool has" in done.output
    assert not (tmp_path / "out").exists()


def test_cells_are_run_once_and_the_tables_name_what_was_run(work, tmp_path, wide_backbone_folder):
    out = tmp_path / "out"
    words = (
        *("--folds", 1, "--backbone", wide_backbone_folder),
        *row_options("token overlap", "BM25", "teacher", "ReprBERT"),
    )

    first = run(work, out, *words)
    files = sorted((out / "runs").iterdir())
    before = [path.read_bytes() for path in files]
    second = run(work, out, *words)

    assert first.exit_code == second.exit_code == 0
    assert len(files) == 4
    assert "4 cells are finished, 0 to run" in second.output
    assert [path.read_bytes() for path in files] == before
    page = (out / "study-shop.md").read_text()
    assert "| teacher | 1 × 1 | 100.0 | 100.0 |" in page
    assert "| ColBERT |  |  |" in page
    assert "| whole at 16/32 tokens | BM25 |" in page
    assert len(list((out / "cache").iterdir())) == 1  # the BERT that taught the ReprBERT
    content = json.loads(files[2].read_text())
    assert content["row"] == "teacher"
    assert (
        sum(len(q["logits"]) for q in content["queries"].values()) == content["measures"]["pairs"]
    )


def test_two_runs_that_share_a_study_by_fold_leave_nothing_to_run(
    work, tmp_path, wide_backbone_folder
):
    out, lexical = tmp_path / "out", row_options("token overlap")
    words = ("--folds", 2, "--backbone", wide_backbone_folder, *lexical)

    second = run(work, out, *words, "--fold", 1)
    first = run(work, out, *words, "--fold", 0)
    whole = run(work, out, *words)

    assert "0 cells are finished, 1 to run" in second.output
    assert "token overlap, fold 1" in second.output
    assert "1 cells are finished, 1 to run" in first.output
    assert "2 cells are finished, 0 to run" in whole.output


def test_a_students_cell_holds_measures_cost_and_slices_that_its_scores_give(
    work, tmp_path, wide_backbone_folder
):
    out = tmp_path / "out"
    run(work, out, "--quick", "--folds", 1, "--backbone", wide_backbone_folder,
        *row_options(MKD))  # fmt: skip

    material = StudyMaterial(*work, str(wide_backbone_folder))
    rows = quick_rows(study_rows(steps=2))
    plan = plan_study(rows, material, out / "runs", Bounds(folds=1))
    (found,) = plan.finished
    assert found.cell.row.name == MKD
    assert len(found.queries) == len(material.parts(0).test)
    from relevance.metrics import roc_auc

    assert found.measures["roc_auc"] == pytest.approx(roc_auc(found.good, found.logits), abs=1e-4)
    assert found.cost["parameters"] > 1000
    assert found.cost["cached_ms"] > 0
    assert set(found.slices) <= {"head", "long tail", "cut pairs", "whole pairs", "cut texts"}
    assert found.slices["cut texts"] == {"queries": 0.0, "items": 0.0, "pairs": 0.0}
    assert found.slices["whole pairs"]["roc_auc"] == found.measures["roc_auc"]
    assert {cell.row.name for cell in plan.to_run} == set(rows) - {MKD}
    assert "A quick run" in (out / "study-shop-quick.md").read_text()
    quick, slow = (
        expected_seconds(plan.to_run, [replace(found, training={"seconds_per_step": seconds})])
        for seconds in (0.5, 1.5)
    )

    assert slow - quick == pytest.approx(2 * len(plan.to_run))


def test_a_study_may_be_bounded_to_some_folds_and_seeds_of_each_row(
    work, tmp_path, wide_backbone_folder
):
    material = StudyMaterial(*work, str(wide_backbone_folder))

    def planned(**bounds):
        chosen = Bounds(rows=frozenset({BASELINE}), **bounds)
        plan = plan_study(study_rows(), material, tmp_path, chosen)
        return [(cell.seed, cell.fold) for cell in plan.to_run]

    folds = material.assignment.folds
    assert planned() == [(seed, fold) for seed in range(3) for fold in range(folds)]
    assert planned(seeds=1) == [(0, fold) for fold in range(folds)]
    assert planned(seeds=2, folds=1) == [(0, 0), (1, 0)]


def test_changed_judgements_make_another_cell(work, tmp_path, wide_backbone_folder):
    material = StudyMaterial(*work, str(wide_backbone_folder))

    taught, untaught = (material.inputs(0, taught=taught) for taught in (True, False))

    row = study_rows()[MKD]
    assert taught != untaught
    assert read_cell(tmp_path, Cell(row, 0, 0, taught)) is None
    assert material.inputs(0, taught=True) == taught
    other = StudyMaterial(*work, "another-backbone")
    assert other.inputs(0, taught=True) != taught


def test_a_bounded_pool_is_a_stretch_of_the_whole(work, wide_backbone_folder):
    data = StudyMaterial(*work, str(wide_backbone_folder)).training_data(0, taught=True)

    found = bounded_pool(data, 20, seed=1)

    assert len(found.pool) == 20
    places = [data.pool.index(pair) for pair in found.pool]
    assert np.all(np.diff(places) % len(data.pool) == 1)
    assert bounded_pool(data, None, seed=0) is data
    assert bounded_pool(data, 0, seed=0).pool == []


def test_a_row_that_adapts_first_keeps_its_encoder_and_reads_no_judgement(
    work, tmp_path, wide_backbone_folder
):
    data, folder = work
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "fold0" / "pool_judgements.parquet").unlink()
    out, typed = tmp_path / "out", (*row_options(ADAPTED), "--backbone", wide_backbone_folder)

    run((data, bare), out, *typed)
    again = run((data, bare), out, *typed)

    (file,) = (out / "runs").iterdir()
    (kept,) = (out / "cache").glob("adapted-*")
    found = json.loads(file.read_text())
    assert "1 cells are finished, 0 to run" in again.output
    assert f"cannot run {ADAPTED}, fold 1: no pool.parquet in" in again.output
    card = read_adaptation_card(kept)
    assert card.adaptation["steps"] == 2
    pool = StudyMaterial(data, bare, str(wide_backbone_folder)).pool_pairs(0)
    assert 1 < card.run["items"] <= len({pair.item_id for pair in pool})
    assert found["training"]["adaptation_last_loss"] == card.run["last_loss"]


def test_an_adaptation_counts_in_what_a_study_will_cost():
    rows = study_rows(steps=100)
    adapted, plain = (Cell(rows[name], 0, 0, "inputs") for name in (ADAPTED, BASELINE))

    dearer = expected_seconds([adapted], []) - expected_seconds([plain], [])

    assert dearer == pytest.approx(100 * SECONDS_PER_STEP["colbert"])


def test_a_student_of_an_adapted_encoder_is_another_one(work, tmp_path, wide_backbone_folder):
    out = tmp_path / "out"

    run(work, out, "--folds", 1, "--seeds", 1, "--backbone", wide_backbone_folder,
        *row_options(BASELINE, ADAPTED))  # fmt: skip

    adapted, plain = (
        json.loads(path.read_text()) for path in sorted((out / "runs").iterdir(), key=str)
    )
    assert (adapted["row"], plain["row"]) == (ADAPTED, BASELINE)
    assert adapted["recipe"] == plain["recipe"]
    assert adapted["queries"].keys() == plain["queries"].keys()
    assert adapted["queries"] != plain["queries"]


def test_another_teacher_is_read_from_its_own_folder(work, tmp_path, wide_backbone_folder):
    data, folder = work
    other = tmp_path / "work"
    shutil.copytree(folder, other)
    inside = other / "fold0" / TITLE_ONLY_FOLDER
    (inside / "teacher").mkdir(parents=True)
    for name in ("pool_judgements.parquet", "teacher/judgements.parquet"):
        judged = read_judgements(other / "fold0" / name)
        write_judgements(inside / name, [replace(j, log_odds=-j.log_odds) for j in judged])
    material = StudyMaterial(data, other, str(wide_backbone_folder))
    rows, out = study_rows(), tmp_path / "out"

    data_of = {row: material.training_data(0, taught=True, teacher=rows[row].teacher)
               for row in (MKD, TITLE_ONLY)}  # fmt: skip
    done = run((data, other), out, *row_options("teacher", "title-only teacher"))

    assert data_of[MKD].pool == data_of[TITLE_ONLY].pool
    assert {key: -j.log_odds for key, j in data_of[MKD].judgements.items()} == {
        key: j.log_odds for key, j in data_of[TITLE_ONLY].judgements.items()
    }
    inputs = {row: material.inputs_of(rows[row], 0) for row in (MKD, TITLE_ONLY, BASELINE)}
    assert len(set(inputs.values())) == 3
    assert inputs[MKD] == material.inputs(0, taught=True)
    assert done.exit_code == 0
    page = (out / "study-shop.md").read_text()
    assert "| teacher | 1 × 1 | 100.0 | 100.0 |" in page
    assert "| title-only teacher | 1 × 1 | 0.0 |" in page


def test_a_missing_teacher_is_said_with_the_commands_that_make_it(
    work, tmp_path, wide_backbone_folder
):
    done = run(work, tmp_path / "out", "--plan", "--backbone", wide_backbone_folder)

    assert (
        f"cannot run {TITLE_ONLY}, fold 0: no judgements of a teacher in {work[1]}/fold0/"
        "title_only (`ellm data titles`, then `ellm train pool`," in done.output
    )


def test_an_unknown_row_is_refused(work, tmp_path):
    with pytest.raises(BadInput, match="row: expected one of token overlap, BM25"):
        run(work, tmp_path, "--row", "GPT")
    assert BASELINE in study_rows()
