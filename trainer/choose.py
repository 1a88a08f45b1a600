"""Choose among runs that differ in their settings by the inner validation part alone.

Every run is told, not the best one only: a baseline and a method are compared fairly when each was
chosen from the same search. How a run is trained stands in `train.py`.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from relevance.atomic import creating_folder
from relevance.errors import BadInput
from trainer.students.checkpoint import StudentCard, read_card

SEARCH = "search.json"
MEASURE = "validation_neg_pr_auc"


def choose_run(runs: Sequence[Path], out: Path) -> tuple[Path, tuple[StudentCard, ...]]:
    """Copy the run with the best validated Neg PR-AUC to `out`, beside a list of all of them.

    Of equal runs the first is taken. Raises `BadInput` where the runs differ in what they are (a
    student, its lengths, its text) rather than in how they were trained: their validation scores
    would be no like for like.
    """
    cards = tuple(read_card(run) for run in runs)
    if not cards:
        raise BadInput("runs: expected at least one checkpoint to choose from, got none")
    for run, card in zip(runs, cards, strict=True):
        if _shape(card) != _shape(cards[0]):
            raise BadInput(
                f"{run}: expected a student like {runs[0]}'s, {_shape(cards[0])}, "
                f"got {_shape(card)}"
            )
    best = max(range(len(runs)), key=lambda at: cards[at].run[MEASURE])
    listed = [
        {"run": run.name, "chosen": at == best, "recipe": card.recipe, "validation": card.run}
        for at, (run, card) in enumerate(zip(runs, cards, strict=True))
    ]
    with creating_folder(out) as temporary:
        shutil.copytree(runs[best], temporary, dirs_exist_ok=True)
        (temporary / SEARCH).write_text(json.dumps(listed, indent=2) + "\n")
    return runs[best], cards


def _shape(card: StudentCard) -> dict[str, object]:
    return card.model_dump(
        include={"student", "backbone", "dim", "query_tokens", "item_tokens", "item_text"}
    )
