"""Which cells a study consists of, which are finished, and what the others will cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import pyarrow.parquet as pq

from trainer.settings import changed
from trainer.study.cells import Cell, CellResult, read_cell
from trainer.study.material import StudyMaterial
from trainer.study.rows import TITLE_ONLY_FOLDER, Row, Source

# Seconds per optimiser step of a MiniLM-size student, two cores with AVX-512 bfloat16, 16/32
# tokens (docs/training.md): what a student that has no finished cell is guessed by.
SECONDS_PER_STEP = {"colbert": 0.45, "bert": 0.9}
USUAL_SECONDS_PER_STEP = 0.5
OTHER_SECONDS = 20.0  # reading, tokenising, looks and the test, per training


@dataclass(frozen=True, slots=True)
class Plan:
    """The study's cells: finished ones with their results, and those still to run, in order.

    `missing` says for rows that cannot be run in a fold why not.
    """

    finished: tuple[CellResult, ...]
    to_run: tuple[Cell, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What of a study is run; nothing given: all of it.

    folds, seeds: at most so many of each row. rows, only_folds: only these, so that several
    processes or machines can share a study: each writes cells of its own.
    """

    folds: int | None = None
    seeds: int | None = None
    rows: frozenset[str] = frozenset()
    only_folds: frozenset[int] = frozenset()

    def runs(self, cell: Cell) -> bool:
        """Whether an unfinished cell is to be run."""
        row, fold = cell.row.name, cell.fold
        return row in (self.rows or {row}) and fold in (self.only_folds or {fold})


EVERYTHING = Bounds()


def plan_study(
    rows: Mapping[str, Row], material: StudyMaterial, results: Path, bounds: Bounds = EVERYTHING
) -> Plan:
    """Find what is finished, what is to be run and what cannot be."""
    finished, to_run, missing = [], [], []
    for row in rows.values():
        folds = min(row.folds, material.assignment.folds, bounds.folds or row.folds)
        for fold in range(folds):
            reason = _hindrance(row, fold, material)
            if reason:
                missing.append(f"{row.name}, fold {fold}: {reason}")
                continue
            inputs = material.inputs_of(row, fold)
            for seed in range(min(row.seeds, bounds.seeds or row.seeds)):
                cell = Cell(row, fold, seed, inputs)
                found = read_cell(results, cell)
                if found is not None:
                    finished.append(found)
                elif bounds.runs(cell):
                    to_run.append(cell)
    return Plan(tuple(finished), tuple(_first_folds_first(to_run)), tuple(missing))


def expected_seconds(cells: Iterable[Cell], finished: Sequence[CellResult]) -> float:
    """What these cells will take, by the finished cells of the same student where there are any."""
    known: dict[str, list[float]] = {}
    for result in finished:
        recipe = result.cell.row.recipe
        if recipe is not None and "seconds_per_step" in result.training:
            known.setdefault(recipe.student, []).append(result.training["seconds_per_step"])
    return sum(_seconds(cell, known) for cell in cells)


def _seconds(cell: Cell, known: Mapping[str, Sequence[float]]) -> float:
    recipe = cell.row.recipe
    if cell.row.source is not Source.STUDENT or recipe is None:
        return 1.0
    guess = SECONDS_PER_STEP.get(recipe.student, USUAL_SECONDS_PER_STEP)
    per_step = mean(known[recipe.student]) if recipe.student in known else guess
    searches = bool(cell.row.search) and cell.seed == 0
    tried = [changed(recipe, one) for one in cell.row.search] if searches else [recipe]
    beforehand = 0 if cell.row.adaptation is None else cell.row.adaptation.steps * per_step
    return beforehand + sum(one.steps * per_step + OTHER_SECONDS for one in tried)


def _hindrance(row: Row, fold: int, material: StudyMaterial) -> str:
    """Why a row cannot be run in a fold; empty where it can."""
    folder = material.folder / f"fold{fold}"
    if row.adaptation is not None and not material.has_pool(fold):
        return f"no pool.parquet in {folder} (`ellm data hold-out` makes it)"
    if not row.needs_teacher:
        return ""
    if not material.has_teacher(fold, row.teacher):
        return f"no judgements of a teacher in {folder / row.teacher}{_how(row)}"
    pairs = pq.read_metadata(material.teacher_files(fold)[0]).num_rows
    if row.pool_pairs is not None and row.pool_pairs > pairs:
        return f"the pool has {pairs:,} pairs"
    return ""


def _how(row: Row) -> str:
    """Which commands make a missing teacher that no demo leaves behind."""
    if row.teacher != TITLE_ONLY_FOLDER:
        return ""
    return (
        " (`ellm data titles`, then `ellm train pool`, `teach fit` and `teach judge` on what it "
        "wrote)"
    )


def _first_folds_first(cells: Sequence[Cell]) -> list[Cell]:
    """Every row's first fold and seed before any second one: an early end leaves whole tables."""
    return sorted(cells, key=lambda cell: (cell.seed, cell.fold))
