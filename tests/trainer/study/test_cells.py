"""A cell's name is all that decides its result; what was written is what is read."""

from dataclasses import replace

import numpy as np
import pytest

from relevance.errors import BadInput
from tests.trainer.study.make_cells import make_cell, make_result
from trainer.recipes import ce
from trainer.study.cells import read_cell, write_cell
from trainer.study.rows import Row, Table, study_rows


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
    ],
)
def test_whatever_changes_the_result_changes_the_key(changes):
    assert replace(make_cell(), **changes).key != make_cell().key


def test_where_a_row_is_shown_and_how_often_it_is_wanted_does_not():
    row = Row("ColBERT", (Table.MAIN,), 5, 3, recipe=ce())

    assert replace(make_cell(), row=row).key == make_cell().key


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
