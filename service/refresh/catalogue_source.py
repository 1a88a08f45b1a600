"""Catalogues as streams of normalised records: files, folders of files, or standard input.

The same columns, checks and results as `relevance.records.read_catalogue`, which holds a whole
catalogue in memory (a test compares them); here memory stays at one batch. Repeated ids are
`spool.py`'s, which sees all of them.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.errors import BadInput
from relevance.tables import check_filled, check_lossless
from relevance.text import normalise
from service.refresh.catalogue_files import NAMES, READERS, known_suffixes
from service.store.item_records import PLAIN_FIELDS, SCHEMA

STDIN = Path("-")
COPY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class CatalogueBatch:
    """Some records, and the file and row (from 1) the first of them came from."""

    path: Path
    first_row: int
    records: pa.RecordBatch


def read_catalogue_batches(
    items: Path, *, kind: str | None = None, scratch: Path, stdin: BinaryIO | None = None
) -> Iterator[CatalogueBatch]:
    """Every record of a file, of all known files below a folder by name, or of standard input.

    `kind` is csv, tsv, jsonl or parquet where the name does not say it; `-` is standard input,
    kept in the folder `scratch` while it is read. Raises `BadInput` naming file and row.
    """
    if items == STDIN:
        if kind is None:
            raise BadInput("standard input: expected --format csv, tsv, jsonl or parquet")
        kept = scratch / f"stdin.{kind}"
        with kept.open("wb") as file:
            shutil.copyfileobj(stdin or sys.stdin.buffer, file, COPY_BYTES)
        try:
            yield from _read_file(kept, kind)
        finally:
            kept.unlink()
        return
    for path in _files(items):
        yield from _read_file(path, kind or path.suffix.removeprefix("."))


def _files(items: Path) -> list[Path]:
    if not items.is_dir():
        return [items]
    found = sorted(p for p in items.rglob("*") if p.suffix.removeprefix(".") in READERS)
    if not found:
        raise BadInput(f"{items}: expected files named {known_suffixes()}, found none")
    return found


def _read_file(path: Path, kind: str) -> Iterator[CatalogueBatch]:
    if kind not in READERS:
        raise BadInput(f"{path}: expected one of {known_suffixes()}, got `.{kind}`")
    if not path.is_file():
        raise BadInput(f"{path}: expected a catalogue file, found none")
    row = 1
    try:
        for raw in READERS[kind](path):
            if len(raw):
                yield CatalogueBatch(path, row, _records(raw, path, row))
            row += len(raw)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"{path}: not readable as {kind} after row {row - 1}: {fault}") from fault
    if row == 1:
        raise BadInput(f"{path}: expected at least one row, got an empty catalogue file")


def _records(raw: pa.RecordBatch, path: Path, first_row: int) -> pa.RecordBatch:
    columns = {name: _text_column(raw, name, path, first_row) for name in NAMES}
    check_filled(columns["item_id"], path, "item_id", first_row=first_row)
    texts = {
        name: columns[name] if name == "item_id" else normalised(columns[name])
        for name in PLAIN_FIELDS
    }
    attributes = _attributes(columns["attributes_json"], path, first_row)
    return pa.RecordBatch.from_arrays([*texts.values(), attributes], schema=SCHEMA)


def _text_column(raw: pa.RecordBatch, name: str, path: Path, first_row: int) -> pa.StringArray:
    if name not in raw.schema.names:
        return pa.array([""] * len(raw), pa.string())
    column = raw[name]
    check_lossless(column.type, path, name)
    try:
        texts = column.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowException as fault:
        raise BadInput(
            f"{path}: row {first_row} or later: column `{name}`: expected text: {fault}"
        ) from fault
    return texts


def normalised(texts: pa.StringArray) -> pa.StringArray:
    """`relevance.text.normalise` of each text, null as empty; plain ASCII is passed by unread."""
    filled = texts.fill_null("")
    is_plain = pc.and_(
        pc.ascii_is_printable(filled),
        pc.invert(
            pc.or_(
                pc.match_substring(filled, "  "),
                pc.or_(pc.starts_with(filled, " "), pc.ends_with(filled, " ")),
            )
        ),
    )
    if pc.all(is_plain, min_count=0).as_py():
        return filled
    others = pc.invert(is_plain)
    rewritten = [normalise(text) for text in filled.filter(others).to_pylist()]
    return pc.replace_with_mask(filled, others, pa.array(rewritten, pa.string()))


def _attributes(texts: pa.StringArray, path: Path, first_row: int) -> pa.MapArray:
    is_filled = pc.greater(pc.binary_length(texts), 0).fill_null(False)
    places = np.flatnonzero(is_filled.to_numpy(zero_copy_only=False))
    counts, names, values = np.zeros(len(texts) + 1, np.int32), [], []
    for at, text in zip(places.tolist(), texts.filter(is_filled).to_pylist(), strict=True):
        found = _pairs(text, path, first_row + at)
        names += [name for name, _ in found]
        values += [value for _, value in found]
        counts[at + 1] = len(found)
    offsets = pa.array(np.cumsum(counts, dtype=np.int32))
    keys, items = pa.array(names, pa.string()), pa.array(values, pa.string())
    return pa.MapArray.from_arrays(offsets, keys, items)


def _pairs(text: str, path: Path, row: int) -> list[tuple[str, str]]:
    try:
        pairs = json.loads(text).items()
    except (json.JSONDecodeError, AttributeError) as fault:
        raise BadInput(
            f"{path}: row {row}: attributes_json: expected a JSON object: {fault}"
        ) from fault
    texts = ((normalise(name), _attribute_text(value)) for name, value in pairs)
    return [(name, value) for name, value in texts if name and value]


def _attribute_text(value: object) -> str:
    values = value if isinstance(value, list) else [value]
    return normalise(", ".join(str(v) for v in values if v is not None))
