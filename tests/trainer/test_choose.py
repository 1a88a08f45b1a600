"""The search's choice: by inner validation alone, every run told."""

import json
from pathlib import Path

import pytest

from relevance.errors import BadInput
from trainer.choose import choose_run
from trainer.students.checkpoint import CARD, read_card


def write_run(folder: Path, *, neg_pr_auc: float, **changes: object) -> Path:
    """A run as `ellm train student` leaves it, without the weights nobody reads here."""
    card = {
        "backbone": "tiny",
        "hidden": 8,
        "dim": 8,
        "query_tokens": 16,
        "item_tokens": 32,
        "item_text": "title",
        "recipe": {"name": "ce", "learning_rate": 1e-4},
        "run": {"validation_neg_pr_auc": neg_pr_auc, "validation_roc_auc": 0.5},
        **changes,
    }
    folder.mkdir()
    (folder / CARD).write_text(json.dumps(card))
    return folder


def test_the_best_validated_run_is_copied_and_every_run_is_told(tmp_path):
    runs = [
        write_run(tmp_path / "slow", neg_pr_auc=0.61),
        write_run(tmp_path / "middle", neg_pr_auc=0.64),
        write_run(tmp_path / "fast", neg_pr_auc=0.58),
    ]

    chosen, cards = choose_run(runs, tmp_path / "ce")

    told = json.loads((tmp_path / "ce/search.json").read_text())
    assert chosen == runs[1]
    assert read_card(tmp_path / "ce") == cards[1]
    assert [(run["run"], run["chosen"]) for run in told] == [
        ("slow", False),
        ("middle", True),
        ("fast", False),
    ]
    assert [run["validation"]["validation_neg_pr_auc"] for run in told] == [0.61, 0.64, 0.58]


def test_of_equal_runs_the_first_is_taken(tmp_path):
    runs = [write_run(tmp_path / name, neg_pr_auc=0.6) for name in ("one", "two")]

    assert choose_run(runs, tmp_path / "ce")[0] == runs[0]


def test_students_that_read_different_texts_are_not_compared(tmp_path):
    runs = [
        write_run(tmp_path / "short", neg_pr_auc=0.6),
        write_run(tmp_path / "long", neg_pr_auc=0.7, item_tokens=64),
    ]

    with pytest.raises(BadInput, match=r"long: expected a student like .*short"):
        choose_run(runs, tmp_path / "ce")
    assert not (tmp_path / "ce").exists()


def test_nothing_to_choose_from_is_said(tmp_path):
    with pytest.raises(BadInput, match="at least one checkpoint"):
        choose_run([], tmp_path / "ce")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"absent: expected a student's checkpoint"):
        choose_run([tmp_path / "absent"], tmp_path / "ce")
