"""Tables name every row, fill what was run and leave the rest empty."""

from dataclasses import replace
from zlib import crc32

import pytest

from relevance.bootstrap import Interval
from tests.trainer.study.make_cells import make_cell, make_result
from trainer.study.rows import (
    ADAPTED,
    BASELINE,
    MKD,
    POOL_SIZES,
    TITLE_ONLY,
    Table,
    quick_rows,
    study_rows,
)
from trainer.study.tables import QUICK_NOTE, render_tables, share_closed

ROWS = study_rows()


def result_of(name: str, *, skill: float, fold: int = 0, seed: int = 0):
    cell = make_cell(ROWS[name], fold=fold, seed=seed)
    return make_result(cell, skill=skill, seed=crc32(f"{name} {fold} {seed}".encode()))


def lines_of(page: str, table: str) -> dict[str, list[str]]:
    """A table's rows by name."""
    part = page.split(f"## {table}")[1].split("\n## ")[0]
    cells = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells[2:]}


def test_a_study_without_cells_shows_every_table_and_row_empty():
    page = render_tables(ROWS, [], dataset="shop")

    for table in Table:
        rows = lines_of(page, table)
        assert set(rows) == {name for name, row in ROWS.items() if table in row.tables}
        assert all(not any(cells) for cells in rows.values())
    assert "No cell has been run yet." in page


def test_what_mkd_adds_is_told_for_each_student_of_which_both_rows_were_run():
    finished = [
        result_of("Sentence-BERT", skill=2.0),
        result_of("MKD-Sentence-BERT", skill=0.3),
        result_of("MKD-BERT", skill=1.0),
        result_of(BASELINE, skill=0.3),
        result_of(MKD, skill=2.0),
    ]

    page = render_tables(ROWS, finished, dataset="shop")

    rows = lines_of(page, "What MKD adds to each student")
    assert set(rows) == {"Sentence-BERT", BASELINE}
    assert rows["Sentence-BERT"][0].startswith("-")
    assert rows[BASELINE][0] == lines_of(page, Table.ABLATION)[MKD][6]
    assert "What MKD adds" not in render_tables(ROWS, finished[1:3], dataset="shop")


def test_what_was_run_is_shown_with_its_extent_and_gain_over_the_baseline():
    finished = [
        result_of(name, skill=skill, fold=fold, seed=seed)
        for name, skill in ((BASELINE, 0.3), (MKD, 2.0))
        for fold in (0, 1)
        for seed in (0, 1)
    ]

    page = render_tables(ROWS, finished, dataset="shop")

    rows = lines_of(page, Table.ABLATION)
    assert rows[MKD][0] == rows[BASELINE][0] == "2 × 2"
    assert rows[MKD][6].startswith("+")
    assert "[+" in rows[MKD][6]
    assert rows[BASELINE][6] == ""
    assert not any(rows["w/o CoT"])
    assert lines_of(page, Table.TAIL)[MKD] == ["75.0", "50.0", "", ""]
    assert lines_of(page, Table.COST)[MKD] == ["10", "5", "2", "", "cpu (test)"]
    assert "closes" not in page


def test_the_share_of_the_teachers_lead_stands_below_the_table():
    finished = [
        result_of(name, skill=skill)
        for name, skill in ((BASELINE, 0.1), (MKD, 0.6), ("teacher", 2))
    ]

    page = render_tables(ROWS, finished, dataset="shop")

    assert f"lead over `{BASELINE}` that `{MKD}` closes: ROC-AUC" in page


@pytest.mark.parametrize(
    ("gain", "lead", "share"), [(0.02, 0.04, 0.5), (0.02, 0.0, None), (-0.01, 0.02, -0.5)]
)
def test_the_share_closed_needs_a_lead(gain, lead, share):
    found = share_closed(Interval(gain, 0, 1), Interval(lead, 0, 1))

    assert found == (None if share is None else pytest.approx(share))
    assert share_closed(None, Interval(1, 0, 2)) is None


def test_a_quick_study_says_that_it_proves_nothing():
    page = render_tables(quick_rows(ROWS), [], dataset="shop", quick=True)

    assert QUICK_NOTE in page
    assert set(lines_of(page, Table.ABLATION)) == {
        MKD, "w/o score", "w/o CoT", "w/o both", BASELINE,
    }  # fmt: skip


def test_the_rows_are_what_their_names_say():
    full = ROWS[MKD].recipe

    assert ROWS["w/o score"].recipe == replace(full, lambda_score=0.0)
    assert ROWS["w/o CoT"].recipe == replace(full, lambda_cot=0.0)
    assert ROWS["w/o both"].recipe == replace(full, lambda_score=0.0, lambda_cot=0.0)
    assert not ROWS[BASELINE].recipe.uses_teacher
    assert ROWS["w/o both"].recipe.pseudo_blocks > 0
    assert ROWS["ReprBERT"].taught_by == "BERT"
    assert ROWS[ADAPTED].recipe == ROWS[BASELINE].recipe
    assert ROWS[ADAPTED].adaptation.steps == full.steps
    assert not ROWS[ADAPTED].needs_teacher
    assert ROWS[TITLE_ONLY] == replace(
        ROWS[MKD], name=TITLE_ONLY, tables=(Table.CONTROL,), folds=2, seeds=1, teacher="title_only"
    )
    sizes = [row.pool_pairs for row in ROWS.values() if row.pool_pairs is not None]
    assert tuple(sizes) == POOL_SIZES
    taught_by = {row.taught_by for row in ROWS.values()} - {None}
    assert taught_by <= set(ROWS)


def test_cut_texts_are_told_of_the_cells_that_know_and_older_cells_are_passed_over():
    old, new = result_of(MKD, skill=1.0), result_of(MKD, skill=1.0, fold=1)
    shares = {"queries": 0.1, "items": 0.4, "pairs": 0.45}
    cut, whole = ({"pairs": 9.0, "roc_auc": x, "neg_pr_auc": x / 2} for x in (0.6, 0.8))
    slices = {"cut texts": shares, "cut pairs": cut, "whole pairs": whole}
    told = replace(new, slices={**new.slices, **slices})

    before = render_tables(ROWS, [old], dataset="shop")
    after = render_tables(ROWS, [old, told, result_of(BASELINE, skill=1.0)], dataset="shop")

    assert "## Cut texts" not in before
    lines = [line for line in after.split("## Cut texts")[1].splitlines() if line[:1] == "|"]
    assert lines[2:] == [f"| {MKD} | 10.0 | 40.0 | 45.0 | 60.0 | 30.0 | 80.0 | 40.0 |"]


def test_slices_show_the_rows_that_were_run_with_their_gain_on_those_pairs_alone():
    finished = [result_of(name, skill=skill) for name, skill in ((BASELINE, 0.1), (MKD, 2.0))]
    result = finished[0]
    kept = frozenset(zip(result.queries, result.item_ids, strict=True))
    none = frozenset({("another query", "another item")})

    page = render_tables(ROWS, finished, dataset="shop", slices={"all": kept, "absent": none})

    body = [
        line.split("|")[1:-1] for line in page.split("## Slices of queries")[1].splitlines()[4:]
    ]
    found = {(cells[0].strip(), cells[1].strip()): cells[2:] for cells in body}
    assert set(found) == {("all", BASELINE), ("all", MKD)}
    whole = lines_of(page, Table.ABLATION)[MKD]
    assert [cell.strip() for cell in found["all", MKD]][1:] == [*whole[1:3], *whole[6:8]]
