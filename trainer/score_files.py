"""Scores of human-labelled pairs as files: what `ellm evaluate scores` writes, a line a pair."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.errors import BadInput
from relevance.records import Pair
from relevance.tables import Columns, read_table

SCORE_COLUMNS = Columns(
    kind="scores",
    required={"query": pa.string(), "item_id": pa.string(), "good": pa.int64()},
    optional={"logit": pa.float64(), "subset": pa.string()},
)


def write_scores(path: Path, pairs: Sequence[Pair], logits: np.ndarray) -> None:
    """Write one logit a pair; null where the pair has no score."""
    table = pa.table(
        {
            "query": [pair.query for pair in pairs],
            "item_id": [pair.item_id for pair in pairs],
            "good": pa.array([int(bool(pair.good)) for pair in pairs], pa.int64()),
            "subset": [pair.subset for pair in pairs],
            "logit": pa.array(logits, pa.float64(), from_pandas=True),  # nan becomes null
        }
    )
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_scores(path: Path) -> tuple[tuple[Pair, ...], np.ndarray]:
    """The pairs and their logits, nan where a pair has none."""
    rows = read_table(path, SCORE_COLUMNS).to_pylist()
    if "logit" not in rows[0]:
        raise BadInput(f"{path}: a scores file needs the column logit")
    pairs = tuple(
        Pair(row["query"], row["item_id"], bool(row["good"]), row.get("subset") or "")
        for row in rows
    )
    return pairs, np.array([row["logit"] for row in rows], np.float64)  # null becomes nan
