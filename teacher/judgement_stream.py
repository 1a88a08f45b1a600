"""Pairs read a row group at a time, in constant memory; and a judgement as a row.

What a row of either file means stands in `relevance.records`, which reads and writes whole files;
`judge_shards.py` writes judgements piece by piece.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from relevance.chain_of_thought import render
from relevance.domain import EvidenceSpan, Judgement
from relevance.errors import BadInput
from relevance.records import PAIR_COLUMNS, Pair, read_pairs
from relevance.text import normalise

ROWS = 4096  # in memory at once
_PLAIN = ("judge", "query", "item_id", "target", "log_odds", "fingerprint", "held_out_of")


def stream_pairs(path: Path) -> Iterator[Pair]:
    """Every pair of a file, in file order; other formats than Parquet are read as a whole.

    Unlike `read_pairs` a repeated pair comes twice. Raises `BadInput` where a row is no pair.
    """
    if not _streams(path):
        yield from read_pairs(path)
        return
    with pq.ParquetFile(path) as file:
        missing = [name for name in PAIR_COLUMNS.required if name not in file.schema_arrow.names]
        if missing:
            raise BadInput(f"{path}: a pairs file needs the columns {', '.join(missing)}")
        known = {**PAIR_COLUMNS.required, **PAIR_COLUMNS.optional}
        names = [name for name in known if name in file.schema_arrow.names]
        row = 0
        for batch in file.iter_batches(ROWS, columns=names):
            for record in batch.to_pylist():
                row += 1
                yield _pair(record, path, row)


def judgement_row(judgement: Judgement) -> dict[str, object]:
    """A judgement as a row of `JUDGEMENT_SCHEMA`."""
    thought = judgement.chain_of_thought
    return {
        **{name: getattr(judgement, name) for name in _PLAIN},
        "chain_of_thought": None if thought is None else render(thought),
        "spans": [_span(span) for span in judgement.spans],
    }


def _streams(path: Path) -> bool:
    return path.suffix == ".parquet" and path.is_file()


def _pair(record: dict[str, object], path: Path, row: int) -> Pair:
    query, item_id, good = record["query"], record["item_id"], record.get("good")
    text = normalise(str(query)) if query is not None else ""
    if not text or item_id in (None, "") or good not in (0, 1, None):
        raise BadInput(
            f"{path}: row {row}: expected a query, an item_id and good of 0, 1 or nothing, got "
            f"{query!r:.40}, {item_id!r:.40}, {good!r}"
        )
    return Pair(text, str(item_id), None if good is None else bool(good))


def _span(span: EvidenceSpan) -> dict[str, object]:
    return asdict(span)
