"""Reads the similarities an encoder wrote for pairs: one row a pair, found by query and item id.

How they are made is the trainer's and exporter's business; the teacher loads no encoder.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pyarrow as pa

from relevance.errors import BadInput
from relevance.tables import Columns, read_table
from relevance.text import normalise
from teacher.online.features import Similarities

PairKey = tuple[str, str]  # query, item_id
_NAMES = tuple(field.name for field in fields(Similarities))
_COLUMNS = Columns(
    kind="similarities",
    required={
        "query": pa.string(),
        "item_id": pa.string(),
        **{name: pa.float32() for name in _NAMES},
    },
    optional={},
)


def read_similarities(path: Path | None) -> Mapping[PairKey, Similarities]:
    """Every pair's similarities, none without a file; raises `BadInput` on what is no cosine."""
    if path is None:
        return {}
    found = {}
    for row, record in enumerate(read_table(path, _COLUMNS).to_pylist(), start=1):
        values = [record[name] for name in _NAMES]
        if not all(-1.01 <= value <= 1.01 for value in values):  # also refuses NaN
            raise BadInput(f"{path}: row {row}: expected cosines, got {values}")
        found[normalise(record["query"]), record["item_id"]] = Similarities(*values)
    return found
