"""Reading tables a shop hands us: Parquet, CSV (also .tsv) and JSONL, checked against columns.

Every fault is a `BadInput` that names the file and, where there is one, the row. What the columns
mean stands in `records.py`.
"""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from relevance.errors import BadInput

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Columns:
    """What a kind of table must and may hold: column name → Arrow type."""

    kind: str
    required: Mapping[str, pa.DataType]
    optional: Mapping[str, pa.DataType]


def read_table(path: Path, columns: Columns) -> pa.Table:
    """Read the known columns of `path`, cast to their types; absent optional ones stay absent.

    Raises `BadInput` for a missing or empty file, an unknown format, text that is not UTF-8,
    missing columns and values that do not fit.
    """
    if not path.is_file():
        raise BadInput(f"{path}: expected a {columns.kind} file, found none")
    if path.suffix not in SUFFIXES:
        raise BadInput(f"{path}: expected one of {', '.join(SUFFIXES)}, got `{path.suffix}`")
    if path.suffix != ".parquet":
        _check_utf8(path)
    try:
        table = _READERS[path.suffix](path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as fault:
        raise BadInput(f"{path}: not readable as {path.suffix[1:]}: {fault}") from fault
    return _checked(table, path, columns)


def find_table(prefix: Path, name: str) -> Path | None:
    """The file `<prefix>_<name>` with any known suffix; None where there is none."""
    found = [Path(f"{prefix}_{name}{suffix}") for suffix in SUFFIXES]
    present = [path for path in found if path.is_file()]
    if len(present) > 1:
        raise BadInput(f"{prefix}_{name}: expected one file, got {', '.join(map(str, present))}")
    return present[0] if present else None


def _checked(table: pa.Table, path: Path, columns: Columns) -> pa.Table:
    missing = [name for name in columns.required if name not in table.column_names]
    if missing:
        raise BadInput(
            f"{path}: a {columns.kind} file needs the columns {', '.join(columns.required)}; "
            f"missing: {', '.join(missing)}; found: {', '.join(table.column_names)}"
        )
    if not table.num_rows:
        raise BadInput(f"{path}: expected at least one row, got an empty {columns.kind} file")
    known = {**columns.required, **columns.optional}
    kept = {n: _cast(table[n], t, path, n) for n, t in known.items() if n in table.column_names}
    for name in columns.required:
        _check_filled(kept[name], path, name)
    return pa.table(kept)


def _cast(column: pa.ChunkedArray, kind: pa.DataType, path: Path, name: str) -> pa.ChunkedArray:
    if pa.types.is_string(kind) and pa.types.is_integer(column.type):
        return column.cast(pa.string())  # ids are often written as numbers
    try:
        cast = column.cast(kind)
        if pa.types.is_string(kind):
            cast.validate(full=True)
    except pa.ArrowInvalid as fault:
        row = next((r for r, v in enumerate(column) if not _fits(v, kind)), 0)
        raise BadInput(f"{path}: row {row + 1}: column `{name}`: expected {kind}: {fault}") from fault
    return cast


def _fits(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind).as_py()
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return False
    return True


def _check_filled(column: pa.ChunkedArray, path: Path, name: str) -> None:
    row = pc.index(column.is_null(), value=True).as_py()
    if row >= 0:
        raise BadInput(f"{path}: row {row + 1}: column `{name}` is empty, expected a value")


def _check_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as fault:
                line += fault.object[: fault.start].count(b"\n")
                raise BadInput(
                    f"{path}: line {line}: expected UTF-8, got byte 0x{fault.object[fault.start]:02x}"
                ) from fault
            line += chunk.count(b"\n")


def _read_csv(path: Path, delimiter: str = ",") -> pa.Table:
    if not path.stat().st_size:
        raise BadInput(f"{path}: expected a header and rows, got an empty file")
    with path.open("rb") as file:
        header = pa_csv.open_csv(
            file, parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        ).schema.names
    return pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header},  # "007" is an id, not seven
            strings_can_be_null=True,
            null_values=[""],
        ),
    )


def _read_jsonl(path: Path) -> pa.Table:
    if not path.stat().st_size:
        raise BadInput(f"{path}: expected one JSON object a line, got an empty file")
    return pa_json.read_json(path)


_READERS = {
    ".parquet": lambda path: pq.read_table(path),
    ".csv": _read_csv,
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".jsonl": _read_jsonl,
}
