"""Nested out-of-fold scores: a student's opinion of each labelled pair whose query it never saw.

A judge that reads a student's score must be fitted on scores as good as those it will meet later.
So every inner fold of an outer fold's train part is scored by a student trained on the others
(stacked generalisation: Wolpert, 1992); everything else is scored by one of the whole train part.
What is done with the scores is the teacher's business.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from relevance.atomic import replacing_file
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.folds import FoldAssignment, Split, assign_folds, holdout, split
from relevance.records import Pair
from trainer.material import TrainingData
from trainer.recipes import Recipe
from trainer.scoring import score_text_pairs
from trainer.students.devices import best_device
from trainer.train import Surroundings, train_student
from trainer.world import World

INNER_FOLDS = 5
OUTER = "outer"
_KEYS = ("query", "item_id")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One training: what a student learns from, chooses its state by, and is to score then.

    No scored query, nor a variant of one, is learned from. Only the outer fold's own validation
    pairs are scored by a student whose state they helped to choose.
    """

    name: str
    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    scored: tuple[Pair, ...]


Learner = Callable[[Lesson], Float[np.ndarray, " scored"]]  # logits, NaN where a pair has none


def lessons(
    assignment: FoldAssignment,
    pairs: Sequence[Pair],
    *,
    fold: int,
    inner_folds: int = INNER_FOLDS,
    others: Iterable[Pair] = (),
) -> tuple[Lesson, ...]:
    """A lesson for each inner fold of the train part, and the outer one; each pair is scored once.

    `others` (say a pool) are scored by the student that was kept from their query, the outer one
    where no inner fold holds it; labelled pairs among them are passed over.
    """
    outer = split(assignment, pairs, fold=fold)
    known = {(pair.query, pair.item_id) for pair in pairs}
    extra = [pair for pair in others if (pair.query, pair.item_id) not in known]
    inner = assign_folds(
        outer.train, folds=inner_folds, left_out_subsets=assignment.left_out_subsets
    )
    parts = [split(inner, outer.train, fold=number) for number in range(inner_folds)]
    of_part = _by_part(extra, parts)
    found = [
        Lesson(f"inner{number}", part.train, part.validation, (*part.test, *of_part[number]))
        for number, part in enumerate(parts)
    ]
    scored = (*outer.validation, *outer.test, *of_part[None])
    return (*found, Lesson(OUTER, outer.train, outer.validation, scored))


def _by_part(pairs: Sequence[Pair], parts: Sequence[Split]) -> Mapping[int | None, list[Pair]]:
    """The pairs by the inner fold whose test part holds their query; None where none does."""
    held = [holdout(part) for part in parts]
    part_of: dict[str, int | None] = {}
    found: dict[int | None, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.query not in part_of:
            holding = (n for n, part in enumerate(held) if part.holds_query(pair.query))
            part_of[pair.query] = next(holding, None)
        found[part_of[pair.query]].append(pair)
    return found


@dataclass(frozen=True)
class StudentLearner:
    """Trains a student on human labels alone; an unfinished training goes on where it stopped."""

    recipe: Recipe
    backbone: str
    catalogue: Mapping[str, Item]
    work: Path

    def __post_init__(self) -> None:
        if self.recipe.uses_teacher:
            raise BadInput(
                f"nested scores: expected a recipe of human labels alone, got `{self.recipe.name}`"
                ": a student of the teacher would tell it what it said itself"
            )

    def __call__(self, lesson: Lesson) -> Float[np.ndarray, " scored"]:
        """Train, then score."""
        data = TrainingData(lesson.train, lesson.validation, (), self.catalogue, {})
        surroundings = Surroundings(
            world=World(device=best_device()), state=self.work / f"{self.key(lesson)}.state"
        )
        checkpoint, _, _ = train_student(
            data, self.recipe, backbone_name=self.backbone, surroundings=surroundings
        )
        return score_text_pairs(checkpoint, lesson.scored, self.catalogue)

    def key(self, lesson: Lesson) -> str:
        """What tells this lesson's scores from any other's: recipe, backbone, pairs and texts."""
        known = (*lesson.train, *lesson.validation)
        learned = [(p.query, p.item_id, p.good) for p in known]
        scored = [(p.query, p.item_id) for p in lesson.scored]
        items = dict.fromkeys(p.item_id for p in (*known, *lesson.scored))
        texts = [repr(self.catalogue.get(item_id)) for item_id in items]
        content = [asdict(self.recipe), self.backbone, len(lesson.train), learned, scored, texts]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
        return f"{lesson.name}-{digest}"


def learn_all(
    asked: Sequence[Lesson],
    learn: Learner,
    *,
    column: str,
    work: Path,
    key: Callable[[Lesson], str],
) -> Iterator[pa.Table]:
    """Each lesson's scores, kept under `work` so that a finished one is never learned again."""
    work.mkdir(parents=True, exist_ok=True)
    for lesson in asked:
        path = work / f"{key(lesson)}.parquet"
        if not path.is_file():
            with replacing_file(path) as temporary:
                pq.write_table(_table(lesson.scored, learn(lesson)), temporary)
        yield pq.read_table(path).rename_columns([*_KEYS, column])


def write_nested_scores(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write the lessons' scores as one file, a row for each pair that has one; returns how many."""
    table = pa.concat_tables(tables)
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return len(table)


def _table(pairs: Sequence[Pair], logits: Float[np.ndarray, " scored"]) -> pa.Table:
    kept = np.flatnonzero(np.isfinite(logits)).tolist()
    return pa.table(
        {
            "query": pa.array([pairs[at].query for at in kept], pa.string()),
            "item_id": pa.array([pairs[at].item_id for at in kept], pa.string()),
            "logit": pa.array(logits[kept], pa.float64()),
        }
    )
