"""How items lie in Arrow: the schema, items to and from it, and what tells that an item changed."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from jaxtyping import UInt64

from relevance.domain import Item
from service.store.flat_ids import FlatIds

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
PLAIN_FIELDS = tuple(name for name in SCHEMA.names if name != "attributes")
_FIELD, _PAIR, _VALUE = "\x1f", "\x1e", "\x1d"  # controls: normalised texts hold none


def record_batch(items: Sequence[Item]) -> pa.RecordBatch:
    """Some items as one batch."""
    return pa.RecordBatch.from_pylist([asdict(item) for item in items], SCHEMA)


def items_of(records: pa.RecordBatch | pa.Table) -> list[Item]:
    """The items of a batch or table."""
    return [
        Item(**{**record, "attributes": tuple(record["attributes"])})
        for record in records.to_pylist()
    ]


def item_at(table: pa.Table, row: int) -> Item:
    """The item in one row."""
    return items_of(table.slice(row, 1))[0]


def text_hash(text: str) -> int:
    """xxh3_64 of the text an encoder sees."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def record_hashes(batch: pa.RecordBatch) -> UInt64[np.ndarray, " items"]:
    """xxh3_64 of all fields of each item: another hash means that a field changed."""
    columns = [batch[name] for name in PLAIN_FIELDS]
    joined = pc.binary_join_element_wise(*columns, _attribute_texts(batch["attributes"]), _FIELD)
    encoded = FlatIds.of_column(joined).encoded()
    return np.fromiter(map(xxhash.xxh3_64_intdigest, encoded), np.uint64, len(encoded))


def _attribute_texts(attributes: pa.MapArray) -> pa.StringArray:
    """Each item's names and values as one text."""
    pairs = pc.binary_join_element_wise(attributes.keys, attributes.items, _VALUE)
    lengths = attributes.offsets
    texts = pa.ListArray.from_arrays(lengths, pairs)
    return pc.binary_join(texts, _PAIR)
