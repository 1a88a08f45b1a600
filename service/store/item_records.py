"""How items lie in a generation's `items.arrow`: the schema, and items to and from it."""

from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from relevance.domain import Item

SCHEMA = pa.schema(
    {
        "item_id": pa.string(),
        "title": pa.string(),
        "brand": pa.string(),
        "color": pa.string(),
        "category_path": pa.string(),
        "description": pa.string(),
        "bullet_points": pa.string(),
        "attributes": pa.map_(pa.string(), pa.string()),  # a map may repeat a name, as items may
    }
)


def record_batch(items: Sequence[Item]) -> pa.RecordBatch:
    """Some items as one batch."""
    return pa.RecordBatch.from_pylist([asdict(item) for item in items], SCHEMA)


def item_at(table: pa.Table, row: int) -> Item:
    """The item in one row."""
    record = table.slice(row, 1).to_pylist()[0]
    return Item(**{**record, "attributes": tuple(record["attributes"])})
