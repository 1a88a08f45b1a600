"""Reads what encoders and students say of pairs: one row a pair, found by query and item id.

Every number column of the file is one signal under its own name. How they are made is the
trainer's and exporter's business; the teacher loads no encoder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.errors import BadInput
from relevance.tables import Columns, read_table
from relevance.text import normalise
from teacher.online.signals import NO_SIGNALS, Signals

PairKey = tuple[str, str]  # query, item_id
_KEYS = ("query", "item_id")
# What a judge must never read, were it a number beside the scores: labels, ratings, prices, logs.
_NEVER = frozenset(
    ("good", "good_lenient", "label", "gain", "split", "rating", "rating_count", "price")
    + ("searches", "impressions", "clicks", "carts", "purchases", "visitors")
)
_COSINE_LIMIT = 1.01


@dataclass(frozen=True)
class SignalTable:
    """Signals of many pairs, and the columns they come in."""

    similarities: tuple[str, ...]
    students: tuple[str, ...]
    rows: Mapping[PairKey, Signals]

    def of(self, query: str, item_id: str) -> Signals:
        """A pair's signals; none where no file speaks of it."""
        return self.rows.get((query, item_id), NO_SIGNALS)


NO_TABLE = SignalTable((), (), {})


def read_signals(similarities: Path | None, students: Path | None = None) -> SignalTable:
    """Every pair's signals of both files, none without a file.

    Raises `BadInput` on what is no cosine among similarities and no finite log-odds among student
    scores, where both files name a column alike, and on columns that are no judge's opinion.
    """
    if similarities is None and students is None:
        return NO_TABLE
    cosines = _columns_of(similarities, "similarities")
    scores = _columns_of(students, "student scores")
    if twice := set(cosines) & set(scores):
        raise BadInput(f"{students}: expected columns of its own, got {', '.join(sorted(twice))}")
    found: dict[PairKey, Signals] = {}
    for key, values in _rows(similarities, cosines, "similarities", _COSINE_LIMIT, "cosines"):
        found[key] = Signals(similarities=values)
    for key, values in _rows(students, scores, "student scores", float("inf"), "finite log-odds"):
        found[key] = Signals(found.get(key, NO_SIGNALS).similarities, values)
    return SignalTable(cosines, scores, found)


def _columns_of(path: Path | None, kind: str) -> tuple[str, ...]:
    """The number columns beside query and item id."""
    if path is None:
        return ()
    if path.suffix != ".parquet" or not path.is_file():
        raise BadInput(f"{path}: expected {kind} as a Parquet file")
    numbers = (f.name for f in pq.read_schema(path) if pa.types.is_floating(f.type))
    names = tuple(sorted(name for name in numbers if name not in _KEYS))
    if not names:
        raise BadInput(f"{path}: expected at least one column of {kind}, found none")
    if told := _NEVER & set(names):
        raise BadInput(
            f"{path}: expected {kind} alone, got what a judge must not see: "
            f"{', '.join(sorted(told))}"
        )
    return names


def _rows(
    path: Path | None, names: tuple[str, ...], kind: str, limit: float, expected: str
) -> Iterator[tuple[PairKey, dict[str, float]]]:
    if path is None:
        return
    required = {key: pa.string() for key in _KEYS} | {name: pa.float64() for name in names}
    table = read_table(path, Columns(kind=kind, required=required, optional={}))
    for row, record in enumerate(table.to_pylist(), start=1):
        values = {name: record[name] for name in names}
        if not all(
            -limit <= value <= limit and abs(value) < float("inf") for value in values.values()
        ):  # also refuses NaN
            raise BadInput(f"{path}: row {row}: expected {expected}, got {list(values.values())}")
        yield (normalise(record["query"]), record["item_id"]), values
