"""Sample shops in lower case, so that a small vocabulary holds every word once.

A shop to learn from and one whose queries the learner never sees.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from relevance.chain_of_thought import parse
from relevance.domain import ChainOfThought
from relevance.records import Pair, read_pairs, write_pairs
from relevance.text import words

_KEPT = ("item_id", "query_id", "chain_of_thought", "judge", "fingerprint", "subset")


def lower_cased(source: Path, target: Path) -> Path:
    """Copy a shop's files, texts in lower case; returns the new prefix."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("items", "pairs", "gold", "queries_unlabelled", "query_log"):
        table = pq.read_table(source / f"shop_{name}.parquet")
        rows = [{k: _lower(k, value) for k, value in row.items()} for row in table.to_pylist()]
        pq.write_table(type(table).from_pylist(rows, table.schema), target / f"shop_{name}.parquet")
    return target / "shop"


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
