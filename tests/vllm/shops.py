"""One department of a sample shop, in lower case: little enough language for a small model.

Shops to learn from and one whose queries the learner never sees.
"""

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.chain_of_thought import parse
from relevance.domain import ChainOfThought
from relevance.records import Pair, read_pairs, write_pairs
from relevance.text import words

_TABLES = ("items", "pairs", "gold", "queries_unlabelled", "query_log")
_KEPT = ("item_id", "query_id", "chain_of_thought", "judge", "fingerprint", "subset")


def department(source: Path, target: Path, root: str) -> Path:
    """Copy a shop's files, texts in lower case, cut to the items whose category path begins so.

    A query stays with its pairs of the department if those are most of its pairs. Returns the new
    prefix.
    """
    target.mkdir(parents=True, exist_ok=True)
    tables = {name: _rows(source / f"shop_{name}.parquet") for name in _TABLES}
    items = [row for row in tables["items"] if (row["category_path"] or "").startswith(root)]
    inside = {row["item_id"] for row in items}
    queries = _mostly_inside(tables["pairs"], inside)
    tables["items"] = items
    for name in ("pairs", "gold"):
        tables[name] = [
            row for row in tables[name] if row["query"] in queries and row["item_id"] in inside
        ]
    for name, rows in tables.items():
        schema = pq.read_schema(source / f"shop_{name}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema), target / f"shop_{name}.parquet")
    return target / "shop"


def merged(sources: Mapping[str, Path], target: Path) -> Path:
    """Put the items and pairs of several shops into one; ids get their shop's name in front."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("items", "pairs"):
        tables = []
        for shop, prefix in sources.items():
            table = pq.read_table(f"{prefix}_{name}.parquet")
            place = table.column_names.index("item_id")
            ids = pc.binary_join_element_wise(shop, table["item_id"], "-")
            tables.append(table.set_column(place, "item_id", ids))
        pq.write_table(pa.concat_tables(tables), target / f"shop_{name}.parquet")
    return target / "shop"


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = pq.read_table(path).to_pylist()
    return [{name: _lower(name, value) for name, value in row.items()} for row in rows]


def _mostly_inside(pairs: Sequence[dict[str, Any]], inside: Container[str]) -> set[str]:
    shown, kept = Counter[str](), Counter[str]()
    for pair in pairs:
        shown[pair["query"]] += 1
        kept[pair["query"]] += pair["item_id"] in inside
    return {query for query, n in shown.items() if kept[query] > n / 2}


def write_unseen_pairs(path: Path, pairs: Path, *, other_than: Path) -> int:
    """Write the labelled pairs whose query has other words than every query of another shop."""
    taken = {frozenset(words(pair.query)) for pair in read_pairs(other_than)}
    kept = [p for p in read_pairs(pairs) if frozenset(words(p.query)) not in taken]
    write_pairs(path, kept)
    return len(kept)


def read_gold(prefix: Path) -> dict[tuple[str, str], ChainOfThought]:
    """The chain of thought behind every labelled pair of a lower-cased shop."""
    rows = pq.read_table(f"{prefix}_gold.parquet").to_pylist()
    return {(row["query"], row["item_id"]): parse(row["chain_of_thought"]) for row in rows}


def first_queries(pairs: Path, out: Path, *, most: int) -> tuple[Pair, ...]:
    """The pairs of the first queries, `most` pairs at the most, written to `out`."""
    chosen = read_pairs(pairs, labelled=True)[:most]
    write_pairs(out, chosen)
    return chosen


def _lower(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in _KEPT:
        return value
    if name == "attributes_json":
        return json.dumps({k.lower(): v.lower() for k, v in json.loads(value).items()})
    return value.lower()
