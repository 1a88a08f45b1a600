"""A cell's name is all that decides its result; what was written is what is read."""

from dataclasses import fields, replace

import numpy as np
import pytest

from relevance.errors import BadInput
from tests.trainer.study.make_cells import make_cell, make_result
from trainer.recipes import Adaptation, ce
from trainer.study.cells import ADDED_LATER, Cell, read_cell, write_cell
from trainer.study.rows import Row, Table, study_rows
from trainer.study.search import candidate
from trainer.study.settings import StudySettings


def test_what_is_read_is_what_was_written(tmp_path):
    result = make_result(make_cell(), seed=1)

    path = write_cell(tmp_path, result)
    found = read_cell(tmp_path, result.cell)

    assert path.name == f"colbert-fold0-seed0-{result.cell.key}.json"
    assert (found.cell, found.measures, found.slices) == (
        result.cell,
        result.measures,
        result.slices,
    )
    rows = sorted(zip(result.queries, result.item_ids, result.good, result.logits, strict=True))
    again = sorted(zip(found.queries, found.item_ids, found.good, found.logits, strict=True))
    assert [row[:3] for row in again] == [row[:3] for row in rows]
    assert [row[3] for row in again] == pytest.approx([row[3] for row in rows], abs=1e-5)


def test_a_cell_that_was_not_run_is_none(tmp_path):
    assert read_cell(tmp_path, make_cell()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"fold": 1},
        {"seed": 1},
        {"inputs": "other"},
        {"row": Row("ColBERT", (), 1, recipe=replace(ce(), steps=7))},
        {"row": Row("ColBERT", (), 1, recipe=ce(), pool_pairs=5)},
        {"row": Row("ColBERT", (), 1, recipe=ce(), taught_by="BERT")},
        {"row": Row("ColBERT", (), 1, recipe=ce(), adaptation=Adaptation(steps=3))},
        {"row": Row("ColBERT", (), 1, recipe=ce(), teacher="title_only")},
    ],
)
def test_whatever_changes_the_result_changes_the_key(changes):
    assert replace(make_cell(), **changes).key != make_cell().key


def test_where_a_row_is_shown_and_how_often_it_is_wanted_does_not():
    row = Row("ColBERT", (Table.MAIN,), 5, 3, recipe=ce())

    assert replace(make_cell(), row=row).key == make_cell().key


# The first cells that took hours were run before rows could be adapted or name their teacher.
FIRST_KEYS = {
    "ColBERT": "b2c87858bf8a",
    "MKD-ColBERT": "485710a5153c",
    "MKD-ColBERT, taught by three ColBERTs": "8f8da4101f08",
    "MKD-ColBERT, pool 5,000": "ab91e71b151d",
    "BM25": "02000723c105",
}
CHANGED_KEYS = {"ColBERT": "90aae4fb7149", "MKD-ColBERT": "eff94ff3ed11"}
CHANGED = StudySettings(
    plain=("steps=400",), taught=("good_share=0.45",), plain_search=(("steps=3",),)
)


@pytest.mark.parametrize(
    ("settings", "keys"), [(StudySettings(), FIRST_KEYS), (CHANGED, CHANGED_KEYS)]
)
def test_cells_keep_the_names_they_were_first_run_under(settings, keys):
    """A changed key would throw hours of training away: change `ADDED_LATER` instead."""
    rows = study_rows(settings=settings)

    assert {name: Cell(rows[name], 1, 2, "inputs").key for name in keys} == keys


def test_candidates_of_a_search_keep_theirs_too():
    row = study_rows(settings=CHANGED)["ColBERT"]
    cell = Cell(row, 0, 0, "inputs")

    assert candidate(cell, row.recipe).key == "f6ccd9d082ff"


def test_every_field_added_later_has_a_default_that_says_nothing():
    defaults = {field.name: field.default for field in fields(Row)}

    assert set(ADDED_LATER) <= set(defaults)
    assert not any(defaults[name] for name in ADDED_LATER)


def test_every_row_of_the_study_has_a_key_of_its_own():
    cells = [make_cell(row=row) for row in study_rows().values()]

    assert (
        len({cell.key for cell in cells}) == len({cell.file_name for cell in cells}) == len(cells)
    )


@pytest.mark.parametrize("content", ["", "{}", '{"format": "relevance-cell/1"}', "[]"])
def test_a_damaged_file_is_named(tmp_path, content):
    cell = make_cell()
    (tmp_path / cell.file_name).write_text(content)

    with pytest.raises(BadInput, match=r"\.json: expected a finished cell of the study"):
        read_cell(tmp_path, cell)


def test_a_measure_that_is_no_number_is_not_written(tmp_path):
    result = make_result(make_cell(), seed=0)

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_cell(tmp_path, replace(result, measures={"roc_auc": float(np.nan)}))
    assert list(tmp_path.iterdir()) == []
