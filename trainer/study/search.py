"""A row's search on one fold: every candidate trained, the best by inner validation taken.

Later seeds do not search again: they train with what the first seed's search chose. How one
student is trained is `run_cell.py`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from relevance.errors import BadInput
from trainer.choose import MEASURE
from trainer.recipes import Recipe
from trainer.settings import changed
from trainer.students.checkpoint import Checkpoint
from trainer.students.student import Student
from trainer.study.cells import Cell, CellResult

CANDIDATE = "candidate"
Trained = Checkpoint[Student]


@dataclass(frozen=True, slots=True)
class Searched:
    """The student a search chose, and what it tried: settings and validation of each."""

    checkpoint: Trained
    tried: tuple[Mapping[str, Any], ...]


def search(cell: Cell, train: Callable[[Cell], Trained]) -> Searched:
    """Train all candidates of the cell's row; of equal ones the first is taken."""
    best: Trained | None = None
    tried = []
    for candidate, settings in zip(candidates(cell), cell.row.search, strict=True):
        checkpoint = train(candidate)
        tried.append({"settings": list(settings), "validation": dict(checkpoint.card.run)})
        if best is None or checkpoint.card.run[MEASURE] > best.card.run[MEASURE]:
            best = checkpoint
    if best is None:
        raise BadInput(f"row {cell.row.name}: expected candidates to search, got none")
    return Searched(best, tuple(tried))


def candidates(cell: Cell) -> list[Cell]:
    """A cell for each candidate; rows that try the same recipe share its training."""
    recipe = cell.row.recipe
    if recipe is None:
        raise BadInput(f"row {cell.row.name}: expected a recipe to search around")
    return [candidate(cell, changed(recipe, settings)) for settings in cell.row.search]


def candidate(cell: Cell, recipe: Recipe) -> Cell:
    """The training of one recipe with the row's material."""
    row = replace(cell.row, name=CANDIDATE, tables=(), recipe=recipe, search=())
    return replace(cell, row=row)


def chosen_settings(result: CellResult) -> Sequence[str]:
    """What an earlier seed's search chose."""
    best = max(result.tried, key=lambda tried: float(tried["validation"][MEASURE]))
    return tuple(best["settings"])
