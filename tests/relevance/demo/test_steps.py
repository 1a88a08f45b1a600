import json
from pathlib import Path

import pytest

from relevance.demo.steps import Step, StepFailed, run_steps, step_key


def make_step(folder: Path, **changes: object) -> Step:
    """A step that splits a small data set into folds, unless changed."""
    words = ("data", "folds", "--data", str(folder / "desk"), "--out", str(folder / "f.parquet"))
    settings = {
        "name": "folds",
        "title": "split",
        "words": words,
        "inputs": (folder / "desk_items.csv", folder / "desk_pairs.csv"),
        "outputs": (folder / "f.parquet",),
        "packages": ("relevance",),
    }
    return Step(**{**settings, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    queries = ["oak desk", "red lamp", "blue mug", "tall stool", "soft rug", "wall clock"]
    pairs = [f"{query},i{number},{number % 2}" for number, query in enumerate(queries)]
    items = [f"i{number},{query}" for number, query in enumerate(queries)]
    (tmp_path / "desk_pairs.csv").write_text("\n".join(["query,item_id,good", *pairs]))
    (tmp_path / "desk_items.csv").write_text("\n".join(["item_id,title", *items]))
    return tmp_path


def test_a_step_runs_once_and_is_reused_after(folder: Path) -> None:
    said: list[str] = []
    steps = [make_step(folder)]

    first = run_steps(steps, folder / "record", say=said.append)
    second = run_steps(steps, folder / "record", say=said.append)

    assert [run.reused for run in (*first, *second)] == [False, True]
    assert first[0].seconds == second[0].seconds > 0
    assert said == ["[1/1] split", "[1/1] split: reused"]
    assert json.loads((folder / "record/folds.json").read_text())["key"] == step_key(steps[0])


@pytest.mark.parametrize("change", ["words", "input", "absent output"])
def test_a_step_runs_again_when_what_it_depends_on_changed(folder: Path, change: str) -> None:
    run_steps([make_step(folder)], folder / "record", say=lambda _: None)
    step = make_step(folder)
    if change == "words":
        step = make_step(folder, words=(*step.words, "--folds", "2"))
    elif change == "input":
        with (folder / "desk_pairs.csv").open("a") as file:
            file.write("\ngreen bench,i1,1")
    else:
        (folder / "f.parquet").unlink()

    (run,) = run_steps([step], folder / "record", say=lambda _: None)

    assert not run.reused


def test_a_steps_key_follows_the_code_of_its_packages(folder: Path) -> None:
    assert step_key(make_step(folder)) != step_key(make_step(folder, packages=("exporter",)))


def test_a_failed_step_stops_the_run_with_its_own_exit_code(folder: Path) -> None:
    (folder / "desk_pairs.csv").write_text("query,item_id\noak desk,i0\n")
    never = make_step(folder, name="never")

    with pytest.raises(StepFailed, match="step `folds` failed; again with: ellm data") as failed:
        run_steps([make_step(folder), never], folder / "record", say=lambda _: None)

    assert failed.value.exit_code == 2
    assert not (folder / "record").exists()
