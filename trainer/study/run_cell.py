"""Run one cell: train or look up its judge and score the fold's test part.

The test part is scored once, here; what is measured of it stands in `measures.py`. Students that
teach other rows are kept in a cache folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from platform import machine
from time import perf_counter
from typing import Any

import numpy as np

from relevance.baselines import baseline_scores
from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.folds import holdout
from relevance.records import Pair, read_judgements
from trainer.cost import measure_cost
from trainer.examples import TextLengths, TextTable, tokenise_texts
from trainer.material import TrainingData
from trainer.scoring import score_pairs
from trainer.settings import changed
from trainer.students.checkpoint import Checkpoint, read_student, write_checkpoint
from trainer.students.devices import best_device
from trainer.students.student import Student
from trainer.study.adapted import adaptation_figures, backbone_of
from trainer.study.cells import Cell, CellResult, read_cell
from trainer.study.material import StudyMaterial, bounded_pool
from trainer.study.measures import measure, measured_slices
from trainer.study.rows import Row, Source
from trainer.study.search import CANDIDATE, Searched, candidate, chosen_settings, search
from trainer.teaching import student_judgements
from trainer.train import Surroundings, train_student
from trainer.world import World

COST_PAIRS = 500


@dataclass(frozen=True, slots=True)
class Bench:
    """What cells are run with: the material, all rows by name, a cache of students, and results."""

    material: StudyMaterial
    rows: Mapping[str, Row]
    cache: Path
    results: Path


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A judge's logits on the test pairs, and what is known of its cost and training.

    `texts` are the pairs' texts as the judge read them, where it reads so many tokens of each.
    """

    logits: np.ndarray
    cost: Mapping[str, object]
    training: Mapping[str, float]
    tried: tuple[Mapping[str, Any], ...] = ()
    texts: TextTable | None = None


def run_cell(cell: Cell, bench: Bench) -> CellResult:
    """Train, score and measure; pairs that the judge cannot score are left out and counted."""
    started = perf_counter()
    test = bench.material.parts(cell.fold).test
    scored = SOURCES[cell.row.source](cell, bench, test)
    usable = ~np.isnan(scored.logits)
    pairs = [pair for pair, use in zip(test, usable, strict=True) if use]
    logits = scored.logits[usable]
    good = np.array([bool(pair.good) for pair in pairs])
    is_probability = cell.row.source in (Source.STUDENT, Source.TEACHER)
    measures = measure(pairs, good, logits, bench.material, is_probability=is_probability)
    return CellResult(
        cell,
        measures,
        scored.cost,
        {
            **scored.training,
            "cell_seconds": perf_counter() - started,
            "left_out": float((~usable).sum()),
        },
        measured_slices(pairs, good, logits, bench.material.heads, scored.texts),
        tuple(pair.query for pair in pairs),
        tuple(pair.item_id for pair in pairs),
        good,
        logits,
        scored.tried,
    )


def _student(cell: Cell, bench: Bench, test: tuple[Pair, ...]) -> Scored:
    found = _searched(cell, bench)
    checkpoint, catalogue = found.checkpoint, bench.material.catalogue
    card = checkpoint.card
    lengths = TextLengths(card.query_tokens, card.item_tokens, card.item_text)
    texts = tokenise_texts(checkpoint.tokenizer, test, catalogue, lengths)
    logits = score_pairs(checkpoint.student, test, texts)
    cost = measure_cost(
        checkpoint.student.to(best_device()),
        test[:COST_PAIRS],
        texts,
        training_ms=card.run["training_ms_per_1000_pairs"],
    )
    training = {**card.run, **adaptation_figures(cell, bench.cache)}
    return Scored(logits, {**asdict(cost), "machine": machine()}, training, found.tried, texts)


def _lexical(cell: Cell, bench: Bench, test: tuple[Pair, ...]) -> Scored:
    held_out = holdout(bench.material.parts(cell.fold)).items
    scores = baseline_scores(test, bench.material.catalogue, held_out=held_out)
    return Scored(scores[cell.row.source], {}, {})


def _teacher(cell: Cell, bench: Bench, test: tuple[Pair, ...]) -> Scored:
    judged = {
        (j.query, j.item_id): j.log_odds
        for j in read_judgements(bench.material.teacher_files(cell.fold, cell.row.teacher)[2])
    }
    found = [judged.get((pair.query, pair.item_id), np.nan) for pair in test]
    return Scored(np.array(found, dtype=np.float64), {}, {})


SOURCES: Mapping[Source, Callable[[Cell, Bench, tuple[Pair, ...]], Scored]] = {
    Source.STUDENT: _student,
    Source.OVERLAP: _lexical,
    Source.BM25: _lexical,
    Source.TEACHER: _teacher,
}


def _searched(cell: Cell, bench: Bench) -> Searched:
    """The cell's student: searched by the first seed, trained as it chose by the others."""
    recipe = cell.row.recipe
    if not cell.row.search or recipe is None:
        return Searched(trained(cell, bench), ())
    if cell.seed == 0:
        return search(cell, lambda candidate: trained(candidate, bench))
    first = read_cell(bench.results, replace(cell, seed=0))
    if first is None:
        raise BadInput(f"row {cell.row.name}, fold {cell.fold}: expected seed 0 to be run first")
    chosen = candidate(cell, changed(recipe, chosen_settings(first)))
    return Searched(trained(chosen, bench), ())


def trained(cell: Cell, bench: Bench) -> Checkpoint[Student]:
    """The cell's student, from the cache where it was trained before.

    An unfinished training goes on where it stopped.
    """
    folder = bench.cache / cell.key
    if folder.is_dir():
        return read_student(folder)
    recipe = cell.row.recipe
    if recipe is None:
        raise BadInput(f"row {cell.row.name}: expected a recipe")
    surroundings = Surroundings(
        world=World(device=best_device()), state=bench.cache / f"{cell.key}.state"
    )
    checkpoint, _, _ = train_student(
        _data(cell, bench),
        replace(recipe, seed=cell.seed),
        backbone_name=backbone_of(cell, bench.material, bench.cache),
        surroundings=surroundings,
    )
    if cell.row.name == CANDIDATE or _teaches(cell.row, bench.rows):
        write_checkpoint(folder, checkpoint)
    return checkpoint


def _teaches(row: Row, rows: Mapping[str, Row]) -> bool:
    return any(other.taught_by == row.name for other in rows.values())


def _data(cell: Cell, bench: Bench) -> TrainingData:
    data = bench.material.training_data(
        cell.fold, taught=cell.row.needs_teacher, teacher=cell.row.teacher
    )
    data = bounded_pool(data, cell.row.pool_pairs, seed=cell.seed)
    if cell.row.taught_by is None:
        return data
    return replace(data, judgements=_judgements_of(cell, bench, data))


def _judgements_of(
    cell: Cell, bench: Bench, data: TrainingData
) -> dict[tuple[str, str], Judgement]:
    """The pool judged by another row's students: the mean log-odds of so many seeds."""
    row = bench.rows[str(cell.row.taught_by)]
    members = []
    for seed in range(cell.seed, cell.seed + cell.row.ensemble):
        inputs = bench.material.inputs_of(row, cell.fold)
        checkpoint = trained(Cell(row, cell.fold, seed, inputs), bench)
        found = student_judgements(checkpoint, data.pool, data.catalogue, fingerprint=cell.key)
        members.append({(j.query, j.item_id): j for j in found})
    return {
        key: replace(
            judgement, log_odds=float(np.mean([member[key].log_odds for member in members]))
        )
        for key, judgement in members[0].items()
    }
