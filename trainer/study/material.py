"""What a study is run on: a data set and, per fold, a folder with what the teacher judged.

The folders are laid out as `ellm demo` leaves them: `folds.parquet`, and in `fold0`, `fold1` …
`pool.parquet`, `pool_judgements.parquet` and `teacher/judgements.parquet`; judgements may also be
folders of shards, with that name or without its suffix. Another teacher's judgements lie in a
folder within the fold's, laid out alike. A fold without them can still run the rows that need no
teacher.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from relevance.domain import Item
from relevance.folds import FoldAssignment, Split, read_folds, split
from relevance.judgement_files import content_digest
from relevance.metrics import head_or_tail
from relevance.records import (
    DataSet,
    Pair,
    find_data_set,
    read_catalogue,
    read_pairs,
    read_query_log,
)
from trainer.fold_data import read_training_data
from trainer.material import TrainingData
from trainer.ranking import read_gains
from trainer.study.rows import Row


@dataclass(frozen=True)
class StudyMaterial:
    """A data set, the folder of its folds, and the encoder that students start from."""

    data: Path
    folder: Path
    backbone: str

    @cached_property
    def found(self) -> DataSet:
        """The data set's files."""
        return find_data_set(self.data)

    @cached_property
    def assignment(self) -> FoldAssignment:
        """Which query is tested in which fold."""
        return read_folds(self.folder / "folds.parquet")

    @cached_property
    def labelled(self) -> tuple[Pair, ...]:
        """All human-labelled pairs."""
        return tuple(pair for pair in read_pairs(self.found.pairs) if pair.good is not None)

    @cached_property
    def catalogue(self) -> Mapping[str, Item]:
        """Items by id."""
        return {item.item_id: item for item in read_catalogue(self.found.items)}

    @cached_property
    def gains(self) -> Mapping[tuple[str, str], float]:
        """ESCI gains, where the data set has its grades."""
        return read_gains(self.found.pairs)

    @cached_property
    def heads(self) -> Mapping[str, bool]:
        """Whether each labelled query is head; one cut for the whole data set."""
        queries = list(dict.fromkeys(pair.query for pair in self.labelled))
        log = read_query_log(self.found.query_log) if self.found.query_log else None
        titles = [item.title for item in self.catalogue.values()]
        found = head_or_tail(queries, visitors=log, titles=titles)
        return dict(zip(queries, found, strict=True))

    def parts(self, fold: int) -> Split:
        """The fold's train, validation and test pairs."""
        return split(self.assignment, self.labelled, fold=fold)

    def teacher_files(self, fold: int, teacher: str = "") -> tuple[Path, Path, Path]:
        """The fold's pool, its judgements, and those of the labelled pairs.

        Another `teacher` has a folder of that name in the fold's, and judges the same pool.
        """
        folder = self.folder / f"fold{fold}"
        judged, labelled = (
            _file_or_shards(folder / teacher / name)
            for name in ("pool_judgements.parquet", "teacher/judgements.parquet")
        )
        return folder / "pool.parquet", judged, labelled

    def has_teacher(self, fold: int, teacher: str = "") -> bool:
        """Whether all of the teacher's files are there."""
        return all(path.exists() for path in self.teacher_files(fold, teacher))

    def has_pool(self, fold: int) -> bool:
        """Whether the fold has unlabelled pairs."""
        return self.teacher_files(fold)[0].exists()

    def pool_pairs(self, fold: int) -> Sequence[Pair]:
        """The fold's unlabelled pairs, which nothing of its test part may be in."""
        folds, pool = self.folder / "folds.parquet", self.teacher_files(fold)[0]
        return read_training_data(self.data, folds, fold=fold, pool=pool, judgements=()).pool

    def training_data(self, fold: int, *, taught: bool, teacher: str = "") -> TrainingData:
        """What a student of the fold may learn from, with the teacher's judgements if `taught`."""
        pool, judged, labelled = self.teacher_files(fold, teacher)
        return read_training_data(
            self.data,
            self.folder / "folds.parquet",
            fold=fold,
            pool=pool if taught else None,
            judgements=(judged, labelled) if taught else (),
        )

    def inputs_of(self, row: Row, fold: int) -> str:
        """`inputs` for what a row reads."""
        return self.inputs(
            fold,
            taught=row.needs_teacher,
            teacher=row.teacher,
            adapted=row.adaptation is not None,
        )

    def inputs(self, fold: int, *, taught: bool, teacher: str = "", adapted: bool = False) -> str:
        """Sixteen hex digits over the files a cell of this fold reads, and the backbone."""
        files: Sequence[Path] = (self.found.items, self.found.pairs)
        pool, *judgements = self.teacher_files(fold, teacher)
        if taught:
            files = (*files, pool, *judgements)
        elif adapted:
            files = (*files, pool)
        digest = hashlib.sha256(f"{self.assignment.hash} {self.backbone}".encode())
        for path in files:
            digest.update(content_digest(path).encode())
        return digest.hexdigest()[:16]


def bounded_pool(data: TrainingData, pairs: int | None, *, seed: int) -> TrainingData:
    """The same with at most so many pool pairs: a stretch of the pool, its blocks mostly whole."""
    if pairs is None or pairs >= len(data.pool):
        return data
    start = (seed * 7919 * max(1, pairs)) % max(1, len(data.pool))
    turned = [*data.pool[start:], *data.pool[:start]]
    return replace(data, pool=turned[:pairs])


def _file_or_shards(file: Path) -> Path:
    folder = file.with_suffix("")
    return folder if folder.is_dir() and not file.exists() else file
