"""Other judges' scores as files named on the command line, NAME=FILE: students, mostly.

Read is what `ellm evaluate scores` writes (`logit`) and what `ellm train judge` writes
(`log_odds`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from relevance.errors import BadInput
from relevance.tables import Columns, read_table
from relevance.text import normalise

PairKey = tuple[str, str]  # query, item_id
Scores = Mapping[PairKey, float]
_COLUMNS = Columns(
    "scores",
    {"query": pa.string(), "item_id": pa.string()},
    optional={"logit": pa.float64(), "log_odds": pa.float64()},
)


def files_by_name(option: str, named: Sequence[str]) -> dict[str, list[Path]]:
    """The files given for each name, in their order; `option` is what they were given by."""
    found: dict[str, list[Path]] = {}
    for one in named:
        name, _, path = one.partition("=")
        if not name or not path:
            raise BadInput(f"{option}: expected NAME=FILE, got `{one}`")
        found.setdefault(name, []).append(Path(path))
    return found


def read_scores(path: Path) -> Scores:
    """Each pair's score; pairs without one (null) are passed over."""
    rows = read_table(path, _COLUMNS).to_pylist()
    column = next((name for name in _COLUMNS.optional if name in rows[0]), None)
    if column is None:
        raise BadInput(f"{path}: expected a column `logit` or `log_odds`, found neither")
    return {
        (normalise(row["query"]), row["item_id"]): row[column]
        for row in rows
        if row[column] is not None
    }


def by_fold(option: str, name: str, files: Sequence[Path], folds: int) -> list[Scores]:
    """A judge's scores for each fold: of one file for all, or of one file a fold."""
    if len(files) not in (1, folds):
        raise BadInput(
            f"{option} {name}: expected one file, or one for each of {folds} teachers in their "
            f"order, got {len(files)}"
        )
    read = [read_scores(path) for path in files]
    return read * folds if len(read) == 1 else read
