"""The raw batches of a catalogue file by its kind: Parquet, CSV, TSV, JSONL; checked for columns.

What the columns mean and how texts are normalised is `catalogue_source.py`'s.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from relevance.errors import BadInput
from relevance.records import ITEM_COLUMNS

ROWS_AT_A_TIME = 8192
CSV_BLOCK_BYTES = 4 << 20
NAMES = (*ITEM_COLUMNS.required, *ITEM_COLUMNS.optional)


def known_suffixes() -> str:
    """How files we read may end, for messages."""
    return ", ".join(f".{kind}" for kind in READERS)


def _known(found: list[str], path: Path) -> list[str]:
    if "item_id" not in found:
        raise BadInput(
            f"{path}: a catalogue file needs the column item_id; found: {', '.join(found)}"
        )
    for name in NAMES:
        if found.count(name) > 1:
            raise BadInput(f"{path}: expected one column `{name}`, got {found.count(name)}")
    return [name for name in NAMES if name in found]


def _read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        known = _known(file.schema_arrow.names, path)
        yield from file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=known)


def _read_csv(path: Path, delimiter: str = ",") -> Iterator[pa.RecordBatch]:
    if not path.stat().st_size:
        raise BadInput(f"{path}: expected a header and rows, got an empty file")
    parse_options = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with pa_csv.open_csv(path, parse_options=parse_options) as header:
        known = _known(header.schema.names, path)
    convert_options = pa_csv.ConvertOptions(
        include_columns=known,
        column_types={name: pa.string() for name in known},  # "007" is an id, not seven
        strings_can_be_null=True,
        null_values=[""],
    )
    options = pa_csv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    with pa_csv.open_csv(
        path,
        read_options=options,
        parse_options=parse_options,
        convert_options=convert_options,
    ) as batches:
        for batch in batches:
            for start in range(0, len(batch), ROWS_AT_A_TIME):
                yield batch.slice(start, ROWS_AT_A_TIME)


def _read_tsv(path: Path) -> Iterator[pa.RecordBatch]:
    return _read_csv(path, "\t")


def _read_jsonl(path: Path) -> Iterator[pa.RecordBatch]:
    """Line by line: Arrow's own reader would take texts that look like dates for dates."""
    records: list[dict[str, object]] = []
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            content = content.removeprefix(b"\xef\xbb\xbf") if line == 1 else content
            if content.strip():
                records.append(_object(content, path, line))
            if len(records) == ROWS_AT_A_TIME:
                yield pa.RecordBatch.from_pylist(records, _TEXTS)
                records = []
    yield pa.RecordBatch.from_pylist(records, _TEXTS)


def _object(content: bytes, path: Path, line: int) -> dict[str, object]:
    try:
        record = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise BadInput(f"{path}: line {line}: expected a JSON object: {fault}") from fault
    if not isinstance(record, dict):
        raise BadInput(f"{path}: line {line}: expected a JSON object, got {content[:40]!r}")
    if "item_id" not in record:
        raise BadInput(
            f"{path}: line {line}: expected `item_id`; found: {', '.join(sorted(record))}"
        )
    return {name: _text(record.get(name), path, line, name) for name in NAMES}


def _text(value: object, path: Path, line: int, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{path}: line {line}: column `{name}`: expected text, got {value!r:.40}")
    return str(value)  # ids are often written as numbers


_TEXTS = pa.schema({name: pa.string() for name in NAMES})
READERS: dict[str, Callable[[Path], Iterator[pa.RecordBatch]]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "tsv": _read_tsv,
    "jsonl": _read_jsonl,
}
