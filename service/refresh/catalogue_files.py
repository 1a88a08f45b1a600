"""The raw batches of a catalogue file by its kind: Parquet, CSV, TSV, JSONL; checked for columns.

A batch at a time; what is checked and how formats are read is `relevance.tables`'s, what the
columns mean and how texts are normalised `catalogue_source.py`'s.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from relevance.errors import BadInput
from relevance.records import ITEM_COLUMNS
from relevance.tables import csv_parsing, csv_texts, json_object, json_text, known_columns

ROWS_AT_A_TIME = 8192
CSV_BLOCK_BYTES = 4 << 20
NAMES = (*ITEM_COLUMNS.required, *ITEM_COLUMNS.optional)


def known_suffixes() -> str:
    """How files we read may end, for messages."""
    return ", ".join(f".{kind}" for kind in READERS)


def _read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        known = known_columns(file.schema_arrow.names, path, ITEM_COLUMNS)
        yield from file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=known)


def _read_csv(path: Path, delimiter: str = ",") -> Iterator[pa.RecordBatch]:
    if not path.stat().st_size:
        raise BadInput(f"{path}: expected a header and rows, got an empty file")
    parsing = csv_parsing(delimiter)
    with pa_csv.open_csv(path, parse_options=parsing) as header:
        known = known_columns(header.schema.names, path, ITEM_COLUMNS)
    with pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
        parse_options=parsing,
        convert_options=csv_texts(known),
    ) as batches:
        for batch in batches:
            for start in range(0, len(batch), ROWS_AT_A_TIME):
                yield batch.slice(start, ROWS_AT_A_TIME)


def _read_tsv(path: Path) -> Iterator[pa.RecordBatch]:
    return _read_csv(path, "\t")


def _read_jsonl(path: Path) -> Iterator[pa.RecordBatch]:
    """Line by line: Arrow's own reader would take texts that look like dates for dates."""
    records: list[dict[str, str | None]] = []
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            content = content.removeprefix(b"\xef\xbb\xbf") if line == 1 else content
            if content.strip():
                records.append(_record(content, path, line))
            if len(records) == ROWS_AT_A_TIME:
                yield pa.RecordBatch.from_pylist(records, _TEXTS)
                records = []
    yield pa.RecordBatch.from_pylist(records, _TEXTS)


def _record(content: bytes, path: Path, line: int) -> dict[str, str | None]:
    record = json_object(content, path, line, loads=orjson.loads)
    if "item_id" not in record:
        raise BadInput(
            f"{path}: line {line}: expected `item_id`; found: {', '.join(sorted(record))}"
        )
    return {name: json_text(record.get(name), path, line, name) for name in NAMES}


_TEXTS = pa.schema({name: pa.string() for name in NAMES})
READERS: dict[str, Callable[[Path], Iterator[pa.RecordBatch]]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "jsonl": _read_jsonl,
}
