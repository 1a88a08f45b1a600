"""The files a shop hands us and the judgements teachers write: columns, readers, writers.

A data set is a prefix: `<prefix>_items`, `<prefix>_pairs` and, where there are any,
`<prefix>_queries_unlabelled` and `<prefix>_query_log`, each as Parquet, CSV or JSONL.
All texts are normalised on reading, so every later character offset agrees.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.chain_of_thought import parse, render
from relevance.domain import EvidenceSpan, Item, Judgement, Relevance, Side, Target
from relevance.errors import BadInput
from relevance.judgement_files import judgement_files
from relevance.tables import Columns, find_table, read_table
from relevance.text import normalise

STRING = pa.string()
ITEM_COLUMNS = Columns(
    kind="catalogue",
    required={"item_id": STRING},
    optional={
        "title": STRING,
        "brand": STRING,
        "color": STRING,
        "category_path": STRING,
        "description": STRING,
        "bullet_points": STRING,
        "attributes_json": STRING,
    },
)
PAIR_COLUMNS = Columns(
    kind="pairs",
    required={"query": STRING, "item_id": STRING},
    optional={"good": pa.int64(), "subset": STRING},
    values={"good": "0 or 1"},
)
QUERY_COLUMNS = Columns(kind="queries", required={"query": STRING}, optional={})
QUERY_LOG_COLUMNS = Columns(
    kind="query log", required={"query": STRING, "uv": pa.int64()}, optional={}
)
JUDGEMENT_SCHEMA = pa.schema(
    {
        "judge": STRING,
        "query": STRING,
        "item_id": STRING,
        "target": STRING,
        "log_odds": pa.float32(),
        "fingerprint": STRING,
        "held_out_of": STRING,
        "chain_of_thought": STRING,
        "spans": pa.list_(
            pa.struct(
                {
                    "side": STRING,
                    "start": pa.int32(),
                    "end": pa.int32(),
                    "relevance": STRING,
                    "aspect": STRING,
                }
            )
        ),
    },
    metadata={"format": "relevance-judgements/1"},
)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where a data set's files lie; `queries_unlabelled` and `query_log` may be absent."""

    name: str
    items: Path
    pairs: Path
    queries_unlabelled: Path | None
    query_log: Path | None


@dataclass(frozen=True, slots=True)
class Pair:
    """One query with one item; `good` is the human label where there is one."""

    query: str
    item_id: str
    good: bool | None = None
    subset: str = ""


def find_data_set(prefix: Path) -> DataSet:
    """The data set with this prefix; raises `BadInput` where items or pairs are missing."""
    items, pairs = find_table(prefix, "items"), find_table(prefix, "pairs")
    if items is None or pairs is None:
        absent = "_items" if items is None else "_pairs"
        raise BadInput(
            f"{prefix}{absent}.parquet|.csv|.jsonl: expected a file, found none\n"
            "hint: a data set is named by the prefix of its files, as in DIR/shop"
        )
    unlabelled = find_table(prefix, "queries_unlabelled")
    return DataSet(prefix.name, items, pairs, unlabelled, find_table(prefix, "query_log"))


def read_catalogue(path: Path) -> tuple[Item, ...]:
    """Every item of a catalogue file, in file order; of rows with one id and title the first.

    Raises `BadInput` where one id stands for two different titles or an `attributes_json` is no
    JSON object; the message names the rows.
    """
    seen: dict[str, tuple[int, Item]] = {}
    for row, record in enumerate(read_table(path, ITEM_COLUMNS).to_pylist(), start=1):
        item = _item(record, path, row)
        first_row, first = seen.setdefault(item.item_id, (row, item))
        if first.title != item.title:
            raise BadInput(
                f"{path}: row {row}: item_id `{item.item_id}` has the title {item.title!r}, "
                f"but {first.title!r} in row {first_row}"
            )
    return tuple(item for _, item in seen.values())


def read_pairs(path: Path, *, labelled: bool = False) -> tuple[Pair, ...]:
    """Every pair of a file, in file order; with `labelled` each must have `good` 0 or 1.

    A pair that comes twice with the same label counts once; with two labels it is refused.
    """
    seen: dict[tuple[str, str], tuple[int, Pair]] = {}
    for row, record in enumerate(read_table(path, PAIR_COLUMNS).to_pylist(), start=1):
        pair = _pair(record, path, row, labelled=labelled)
        first_row, first = seen.setdefault((pair.query, pair.item_id), (row, pair))
        if first.good != pair.good:
            raise BadInput(
                f"{path}: row {row}: the pair ({pair.query!r}, `{pair.item_id}`) has good = "
                f"{_digit(pair.good)}, but {_digit(first.good)} in row {first_row}"
            )
    return tuple(pair for _, pair in seen.values())


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs as Parquet, crash-safe; `good` is null where there is no label."""
    rows = [{**asdict(p), "good": None if p.good is None else int(p.good)} for p in pairs]
    schema = pa.schema({"query": STRING, "item_id": STRING, "good": pa.int8(), "subset": STRING})
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary, compression="zstd")


def read_queries(path: Path) -> tuple[str, ...]:
    """The distinct normalised queries of a file, in file order."""
    queries = (normalise(q) for q in read_table(path, QUERY_COLUMNS)["query"].to_pylist())
    return tuple(dict.fromkeys(query for query in queries if query))


def read_query_log(path: Path) -> dict[str, int]:
    """Unique visitors per normalised query."""
    visitors: dict[str, int] = {}
    for record in read_table(path, QUERY_LOG_COLUMNS).to_pylist():
        query = normalise(record["query"])
        visitors[query] = visitors.get(query, 0) + int(record["uv"])
    return visitors


def write_judgements(path: Path, judgements: Iterable[Judgement]) -> None:
    """Write judgements as Parquet, crash-safe; `BadInput` on a repeated judge, pair and target."""
    rows, seen = [], set()
    for judgement in judgements:
        key = (judgement.judge, judgement.query, judgement.item_id, judgement.target)
        if key in seen:
            raise BadInput(f"{path}: judged twice: {key}")
        seen.add(key)
        rows.append(_judgement_row(judgement))
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, JUDGEMENT_SCHEMA), temporary, compression="zstd")


def read_judgements(path: Path) -> tuple[Judgement, ...]:
    """Read what `write_judgements` wrote, or the shards of a finished `ellm teach judge`.

    Raises `BadInput` naming the row that is no judgement, or the folder that is not finished.
    """
    return tuple(judgement for file in judgement_files(path) for judgement in _judgements(file))


def _judgements(path: Path) -> Iterator[Judgement]:
    columns = Columns(
        kind="judgements",
        required={n: JUDGEMENT_SCHEMA.field(n).type for n in _REQUIRED_OF_JUDGEMENT},
        optional={
            field.name: field.type
            for field in JUDGEMENT_SCHEMA
            if field.name not in _REQUIRED_OF_JUDGEMENT
        },
    )
    rows = read_table(path, columns).to_pylist()
    _check_version(path)
    yield from (_judgement(record, path, row) for row, record in enumerate(rows, start=1))


_REQUIRED_OF_JUDGEMENT = ("judge", "query", "item_id", "target", "log_odds", "fingerprint")
_PLAIN_ITEM_FIELDS = tuple(f.name for f in fields(Item) if f.name not in ("item_id", "attributes"))


def _item(record: dict[str, str | None], path: Path, row: int) -> Item:
    texts = {name: normalise(record.get(name) or "") for name in _PLAIN_ITEM_FIELDS}
    return Item(
        item_id=str(record["item_id"]),
        **texts,
        attributes=_attributes(record.get("attributes_json"), path, row),
    )


def _attributes(text: str | None, path: Path, row: int) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    try:
        pairs = json.loads(text).items()
    except (json.JSONDecodeError, AttributeError) as fault:
        raise BadInput(
            f"{path}: row {row}: attributes_json: expected a JSON object: {fault}"
        ) from fault
    texts = ((normalise(name), _attribute_text(value)) for name, value in pairs)
    return tuple((name, text) for name, text in texts if name and text)


def _attribute_text(value: object) -> str:
    """An attribute's value as one text: lists are joined, nothing is lost to a number's type."""
    values: Sequence[object] = value if isinstance(value, list) else [value]
    return normalise(", ".join(str(v) for v in values if v is not None))


def _pair(record: dict[str, object], path: Path, row: int, *, labelled: bool) -> Pair:
    good = record.get("good")
    if good not in (0, 1) and (labelled or good is not None):
        raise BadInput(f"{path}: row {row}: column `good`: expected 0 or 1, got {good}")
    query = normalise(str(record["query"]))
    if not query:
        raise BadInput(f"{path}: row {row}: column `query`: expected a text, got only white space")
    label = None if good is None else bool(good)
    return Pair(query, str(record["item_id"]), label, str(record.get("subset") or ""))


def _digit(good: bool | None) -> str:
    return "nothing" if good is None else str(int(good))


def _judgement_row(judgement: Judgement) -> dict[str, object]:
    thought = judgement.chain_of_thought
    return {
        **{name: getattr(judgement, name) for name in (*_REQUIRED_OF_JUDGEMENT, "held_out_of")},
        "chain_of_thought": None if thought is None else render(thought),
        "spans": [asdict(span) for span in judgement.spans],
    }


def _check_version(path: Path) -> None:
    """Refuse judgements of another version; files of other tools carry none and are read."""
    expected = JUDGEMENT_SCHEMA.metadata[b"format"].decode()
    if path.suffix == ".parquet":
        found = (pq.read_schema(path).metadata or {}).get(b"format", expected.encode()).decode()
        if found != expected:
            raise BadInput(f"{path}: expected the format {expected}, got {found}")


def _judgement(record: dict[str, Any], path: Path, row: int) -> Judgement:
    plain: dict[str, Any] = {n: record.get(n) for n in (*_REQUIRED_OF_JUDGEMENT, "held_out_of")}
    thought = record.get("chain_of_thought")
    try:
        return Judgement(
            **{**plain, "target": Target(record["target"])},
            chain_of_thought=None if thought is None else parse(thought),
            spans=tuple(_spans(record.get("spans") or ())),
        )
    except (ValueError, BadInput) as fault:
        raise BadInput(f"{path}: row {row}: {fault}") from fault


def _spans(records: Iterable[dict[str, Any]]) -> Iterator[EvidenceSpan]:
    for record in records:
        yield EvidenceSpan(
            side=Side(record["side"]),
            start=record["start"],
            end=record["end"],
            relevance=Relevance(record["relevance"]),
            aspect=record["aspect"],
        )
