"""The sampled log of scored pairs: its columns, and reading what the service's workers wrote.

A row is one item shown for one request. Whether a request is logged does not depend on what
answered it, so a row stands for `1 / sample_rate` rows like it. Writing is the service's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.errors import BadInput

FORMAT = "relevance-pair-log/1"
PREFIX = "pairs-"


class Role(StrEnum):
    """answer: the shopper saw it; shadow: scored afterwards, for comparison only."""

    ANSWER = "answer"
    SHADOW = "shadow"


class LoggedText(StrEnum):
    """What of queries and keys is kept: keyed hashes, the words themselves, or nothing."""

    HASHED = "hashed"
    PLAIN = "plain"
    NONE = "none"


SCHEMA = pa.schema(
    {
        "logged_at": pa.timestamp("ms", tz="UTC"),
        "request_id": pa.string(),
        "experiment": pa.string(),  # empty outside any
        "variant": pa.string(),  # the one assigned; `answered_by` differs after a fall-back
        "answered_by": pa.string(),
        "role": pa.string(),
        "key": pa.string(),
        "query": pa.string(),
        "query_hash": pa.string(),
        "item_id": pa.string(),
        "position": pa.int32(),  # 0 is the best
        "score": pa.float64(),
        "bundle": pa.string(),
        "generation": pa.string(),
        "sequence": pa.int64(),
        "sample_rate": pa.float64(),
    },
    metadata={"format": FORMAT},
)


@dataclass(frozen=True, slots=True)
class PairLogFiles:
    """All rows of a log, and the files nobody can read (a damaged disk: writing is crash-safe)."""

    table: pa.Table
    unreadable: tuple[Path, ...]


def read_pair_log(path: Path) -> PairLogFiles:
    """Read a folder of the service's Parquet files, or one of them.

    Raises `BadInput` where there is none, or one of another format.
    """
    tables, unreadable = [], []
    for file in _files(path):
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError):
            unreadable.append(file)
            continue
        tables.append(_checked(table, file))
    if not tables:
        raise BadInput(f"{path}: expected at least one readable file of logged pairs, got none")
    return PairLogFiles(pa.concat_tables(tables), tuple(unreadable))


def _files(path: Path) -> Sequence[Path]:
    if path.is_dir():
        return sorted(path.glob(f"{PREFIX}*.parquet"))
    if not path.is_file():
        raise BadInput(f"{path}: expected a folder or a file of logged pairs, found none")
    return [path]


def _checked(table: pa.Table, file: Path) -> pa.Table:
    found = (table.schema.metadata or {}).get(b"format", b"").decode()
    if found != FORMAT:
        raise BadInput(f"{file}: expected the format {FORMAT}, got `{found}`")
    return table.select(SCHEMA.names).cast(SCHEMA)
