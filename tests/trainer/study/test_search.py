"""A study's searches: what a settings file may say, and which student a search takes."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from relevance.errors import BadInput
from tests.trainer.study.make_cells import make_cell, make_result
from trainer.recipes import ce
from trainer.study.rows import (
    ADAPTED,
    BASELINE,
    BASELINE_STEPS,
    MKD,
    UNTUNED,
    Row,
    study_rows,
)
from trainer.study.search import CANDIDATE, chosen_settings, search
from trainer.study.settings import StudySettings, read_settings

RESULTS = Path(__file__).parents[3] / "docs" / "results"
WHOLE = """
plain = ["steps=200"]
taught = ["steps=400", "good_share=0.45"]
untuned = ["learning_rate=3e-5"]
[search]
plain = [["learning_rate=2e-5"], ["learning_rate=1e-4", "steps=400"]]
taught = [["learning_rate=5e-5"], ["learning_rate=1e-4"]]
"""


def searching(*tried: str):
    row = Row("ColBERT", (), 1, recipe=ce(), search=tuple((one,) for one in tried))
    return make_cell(row)


def trainer_with(scores: dict[float, float], asked: list):
    """Trains nothing: each rate has its validation score."""

    def train(cell):
        asked.append(cell)
        run = {"validation_neg_pr_auc": scores[cell.row.recipe.learning_rate]}
        return SimpleNamespace(card=SimpleNamespace(run=run), recipe=cell.row.recipe)

    return train


def test_the_best_by_inner_validation_is_taken_and_all_are_told():
    asked = []
    cell = searching("learning_rate=0.1", "learning_rate=0.2", "learning_rate=0.3")

    found = search(cell, trainer_with({0.1: 0.5, 0.2: 0.7, 0.3: 0.6}, asked))

    assert found.checkpoint.recipe.learning_rate == 0.2
    assert [one["settings"] for one in found.tried] == [list(s) for s in cell.row.search]
    assert [one["validation"]["validation_neg_pr_auc"] for one in found.tried] == [0.5, 0.7, 0.6]
    assert {one.row.name for one in asked} == {CANDIDATE}
    assert {(one.fold, one.seed, one.inputs) for one in asked} == {(0, 0, "inputs")}


def test_of_equal_candidates_the_first_is_taken():
    cell = searching("learning_rate=0.1", "learning_rate=0.2")

    found = search(cell, trainer_with({0.1: 0.5, 0.2: 0.5}, []))

    assert found.checkpoint.recipe.learning_rate == 0.1


def test_rows_that_try_the_same_recipe_share_its_training():
    one, other, asked = searching("steps=7"), searching("steps=7", "steps=8"), []
    other = replace(other, row=replace(other.row, name="another"))
    train = trainer_with({ce().learning_rate: 0.5}, asked)

    search(one, train)
    search(other, train)

    assert asked[0].key == asked[1].key != asked[2].key


def test_a_later_seed_reads_what_the_first_chose():
    tried = tuple(
        {"settings": [name], "validation": {"validation_neg_pr_auc": score}}
        for name, score in (("steps=1", 0.2), ("steps=2", 0.9), ("steps=3", 0.9))
    )

    assert chosen_settings(replace(make_result(make_cell()), tried=tried)) == ("steps=2",)


def test_a_settings_file_changes_recipes_and_names_searches(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(WHOLE)

    rows = study_rows(settings=read_settings(path))

    assert rows[BASELINE].recipe.steps == 200
    assert (rows[MKD].recipe.steps, rows[MKD].recipe.good_share) == (400, 0.45)
    assert rows["w/o CoT"].recipe.good_share == 0.45
    assert rows[BASELINE].search == (("learning_rate=2e-5",), ("learning_rate=1e-4", "steps=400"))
    assert rows[UNTUNED].search == (("learning_rate=3e-5",),)
    assert len(rows[MKD].search) == 2
    assert rows["w/o CoT"].search == ()


def test_the_longer_baseline_searches_among_candidates_of_mkds_length(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(WHOLE)

    rows = study_rows(settings=read_settings(path))

    assert rows[BASELINE_STEPS].recipe.steps == rows[MKD].recipe.steps == 400
    assert rows[BASELINE_STEPS].search == (("learning_rate=1e-4", "steps=400"),)


def test_without_settings_nothing_is_searched():
    rows = study_rows()

    assert UNTUNED not in rows
    assert all(row.search == () for row in rows.values())
    assert StudySettings() == StudySettings(plain=())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("plain = 3", "`plain`: "),
        ("plian = []", "`plian`: Extra inputs are not permitted"),
        ("[search]\nplain = ['steps=3']", "`plain_search.0`: "),
        ("search = 3", "expected a study's settings as TOML"),
        ("plain = [", "expected a study's settings as TOML"),
    ],
)
def test_a_file_that_is_no_settings_says_where(tmp_path, content, message):
    path = tmp_path / "study.toml"
    path.write_text(content)

    with pytest.raises(BadInput, match=message):
        read_settings(path)


def test_an_absent_settings_file_is_named(tmp_path):
    with pytest.raises(BadInput, match="absent.toml: expected a study's settings: No such file"):
        read_settings(tmp_path / "absent.toml")


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(BadInput, match="setting: expected one of name, steps"):
        study_rows(settings=StudySettings(plain=("stepps=3",)))


@pytest.mark.parametrize("path", sorted(RESULTS.glob("st*.toml")), ids=lambda path: path.stem)
def test_the_studies_that_are_published_can_be_run_again(path):
    rows = study_rows(settings=read_settings(path))

    assert rows[MKD].recipe.steps == rows[BASELINE].recipe.steps == 400
    assert rows[ADAPTED].adaptation.item_tokens == rows[MKD].recipe.item_tokens
