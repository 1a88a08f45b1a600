"""Reading tables a shop hands us: Parquet, CSV (also .tsv) and JSONL, checked against columns.

Every fault is a `BadInput` that names the file and, where there is one, the row. What the columns
mean stands in `records.py`. A reader that holds a piece of a file at a time
(`service.refresh.catalogue_files`) takes its checks and settings from here.
"""

import codecs
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from relevance.errors import BadInput

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, slots=True)
class Columns:
    """What a kind of table must and may hold: column name → Arrow type.

    `values` says of a column what its values are where its type does not: column name → words.
    """

    kind: str
    required: Mapping[str, pa.DataType]
    optional: Mapping[str, pa.DataType]
    values: Mapping[str, str] = field(default_factory=dict)

    def type_of(self, name: str) -> pa.DataType:
        """The type of a known column."""
        return {**self.optional, **self.required}[name]

    def expected(self, name: str) -> str:
        """What a known column's values are, in words."""
        kind = self.type_of(name)
        said = next((words for fits, words in _IN_WORDS if fits(kind)), str(kind))
        return self.values.get(name, said)


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
        table = _READERS[path.suffix](path, columns)
    except (pa.ArrowException, OSError) as fault:
        raise BadInput(f"{path}: not readable as {path.suffix[1:]}: {fault}") from fault
    return _checked(table, path, columns)


def find_table(prefix: Path, name: str) -> Path | None:
    """The file `<prefix>_<name>` with any known suffix; None where there is none."""
    found = [Path(f"{prefix}_{name}{suffix}") for suffix in SUFFIXES]
    present = [path for path in found if path.is_file()]
    if len(present) > 1:
        raise BadInput(f"{prefix}_{name}: expected one file, got {', '.join(map(str, present))}")
    return present[0] if present else None


def known_columns(found: Sequence[str], path: Path, columns: Columns) -> list[str]:
    """The columns to read of those `found`; refuses a file that lacks one or has one twice."""
    missing = [name for name in columns.required if name not in found]
    if missing:
        raise BadInput(
            f"{path}: a {columns.kind} file needs the columns {', '.join(columns.required)}; "
            f"missing: {', '.join(missing)}; found: {', '.join(found)}"
        )
    known = [name for name in (*columns.required, *columns.optional) if name in found]
    for name in known:
        if found.count(name) > 1:
            raise BadInput(f"{path}: expected one column `{name}`, got {found.count(name)}")
    return known


def check_lossless(kind: pa.DataType, path: Path, name: str) -> None:
    """Refuse a text column that came as `kind` where that has lost what was written.

    A float has lost an id's last digits, and whether 7.0 was "7" nobody knows.
    """
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        raise BadInput(f"{path}: column `{name}`: expected text or whole numbers, got {kind}")


def check_filled(
    column: pa.ChunkedArray | pa.Array, path: Path, name: str, *, first_row: int = 1
) -> None:
    """Refuse an empty cell; `first_row` is the file's row that the column begins with."""
    empty = column.is_null()
    if pa.types.is_string(column.type):
        empty = pc.or_kleene(empty, pc.equal(pc.utf8_trim_whitespace(column), ""))
    at = pc.index(empty, value=True).as_py()
    if at >= 0:
        row = first_row + at
        raise BadInput(f"{path}: row {row}: column `{name}` is empty, expected a value")


def csv_parsing(delimiter: str) -> pa_csv.ParseOptions:
    """How CSV files are taken apart."""
    return pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)


def csv_texts(known: Sequence[str]) -> pa_csv.ConvertOptions:
    """The `known` columns as texts, empty cells as nulls."""
    return pa_csv.ConvertOptions(
        include_columns=known,
        column_types={name: pa.string() for name in known},  # "007" is an id, not seven
        strings_can_be_null=True,
        null_values=[""],
    )


def json_object(
    line: str | bytes,
    path: Path,
    at: int,
    *,
    loads: Callable[[str | bytes], object] = json.loads,
) -> dict[str, object]:
    """The object in line `at` of a file; `loads` raises a JSONDecodeError."""
    try:
        record = loads(line)
    except json.JSONDecodeError as fault:
        raise BadInput(f"{path}: line {at}: expected a JSON object: {fault.msg}") from fault
    if not isinstance(record, dict):
        raise BadInput(f"{path}: line {at}: expected a JSON object, got {line.strip()!r:.40}")
    return record


def json_text(value: object, path: Path, at: int, name: str) -> str | None:
    """A text column's value in line `at`; whole numbers are taken: ids are often written so."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{path}: line {at}: column `{name}`: expected text, got {value!r:.40}")
    return str(value)


def _checked(table: pa.Table, path: Path, columns: Columns) -> pa.Table:
    if not table.num_rows:
        raise BadInput(f"{path}: expected at least one row, got an empty {columns.kind} file")
    kept = {n: _cast(table[n], columns, path, n) for n in table.column_names}
    for name in columns.required:
        check_filled(kept[name], path, name)
    return pa.table(kept)


def _cast(column: pa.ChunkedArray, columns: Columns, path: Path, name: str) -> pa.ChunkedArray:
    kind, written = columns.type_of(name), column
    if pa.types.is_string(kind):
        check_lossless(column.type, path, name)
    if pa.types.is_integer(kind) and pa.types.is_string(column.type):
        column = _numbers(column)
    try:
        cast = column.cast(kind)
        if pa.types.is_string(kind):
            cast.validate(full=True)
    except pa.ArrowException as fault:
        at = next((at for at, value in enumerate(column) if not _fits(value, kind)), None)
        row, got = (1, str(fault)) if at is None else (at + 1, _said(written[at]))
        raise BadInput(_misfit(f"{path}: row {row}", columns, name, got)) from fault
    return cast


def _misfit(where: str, columns: Columns, name: str, got: str) -> str:
    return f"{where}: column `{name}`: expected {columns.expected(name)}, got {got}"


def _said(value: pa.Scalar) -> str:
    try:
        return f"`{value.as_py()!s:.40}`"
    except UnicodeDecodeError:
        return "bytes that are not UTF-8"


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as numbers where all are: "1.0" is what many tools write for 1 beside an empty cell."""
    for kind in (pa.int64(), pa.float64()):
        with suppress(pa.ArrowException):
            return column.cast(kind)
    return column  # the caller's cast names the row


def _fits(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind).as_py()
    except (pa.ArrowException, UnicodeDecodeError):
        return False
    return True


def _check_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        for chunk in _chunks(file):
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as fault:
                line += fault.object[: fault.start].count(b"\n")
                byte = fault.object[fault.start]
                raise BadInput(
                    f"{path}: line {line}: expected UTF-8, got byte {byte:#04x}"
                ) from fault
            line += chunk.count(b"\n")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """The file's bytes, a mebibyte at a time, and an empty chunk for its end."""
    while chunk := file.read(1 << 20):
        yield chunk
    yield b""


def _read_parquet(path: Path, columns: Columns) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read(known_columns(file.schema_arrow.names, path, columns))


def _read_csv(path: Path, columns: Columns, *, delimiter: str = ",") -> pa.Table:
    if not path.stat().st_size:
        raise BadInput(f"{path}: expected a header and rows, got an empty file")
    parse_options = csv_parsing(delimiter)
    with path.open("rb") as file:
        header = pa_csv.open_csv(file, parse_options=parse_options).schema.names
    known = known_columns(header, path, columns)
    return pa_csv.read_csv(path, parse_options=parse_options, convert_options=csv_texts(known))


def _read_tsv(path: Path, columns: Columns) -> pa.Table:
    return _read_csv(path, columns, delimiter="\t")


def _read_jsonl(path: Path, columns: Columns) -> pa.Table:
    """Line by line: Arrow's own reader would take texts that look like dates for dates."""
    with path.open(encoding="utf-8-sig") as file:
        lines = [
            (at, json_object(line, path, at)) for at, line in enumerate(file, 1) if line.strip()
        ]
    if not lines:
        raise BadInput(f"{path}: expected one JSON object a line, got an empty file")
    found = list(dict.fromkeys(name for _, record in lines for name in record))
    table = {}
    for name in known_columns(found, path, columns):
        values = [(at, record.get(name)) for at, record in lines]
        if pa.types.is_string(columns.type_of(name)):
            column = pa.array([json_text(v, path, at, name) for at, v in values])
        else:
            column = _json_values(values, path, columns, name)
        table[name] = pa.chunked_array([column])
    return pa.table(table)


def _json_values(
    values: Sequence[tuple[int, object]], path: Path, columns: Columns, name: str
) -> pa.Array:
    """The values of a column that holds no text, with their lines; of one kind or each by itself.

    Arrow makes a column of one kind alone; of several it says neither which nor where.
    """
    with suppress(pa.ArrowException, OverflowError):
        return pa.array([value for _, value in values])
    kind = columns.type_of(name)
    for at, value in values:
        try:
            pa.scalar(value).cast(kind)
        except (pa.ArrowException, OverflowError) as fault:
            where, got = f"{path}: line {at}", f"`{value!s:.40}`"
            raise BadInput(_misfit(where, columns, name, got)) from fault
    return pa.array([pa.scalar(value).cast(kind).as_py() for _, value in values], kind)


_IN_WORDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_string, "text"),
    (pa.types.is_integer, "a whole number"),
    (pa.types.is_floating, "a number"),
)
_READERS = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
}
