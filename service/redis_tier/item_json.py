"""An item's catalogue fields as JSON, beside its record: what `/explain` and a new replica read.

The id is not among them: it stands in the key.
"""

from dataclasses import fields

import orjson

from relevance.domain import Item

LAYOUT = 1
# `asdict` would copy every value, and take ten times as long.
_FIELDS = tuple(field.name for field in fields(Item) if field.name != "item_id")


def pack_item(item: Item) -> bytes:
    """The fields of an item; empty ones are left out."""
    said = {name: value for name in _FIELDS if (value := getattr(item, name))}
    return orjson.dumps({"layout": LAYOUT, **said})


def unpack_item(value: bytes | None, item_id: str) -> Item | None:
    """The item in a value; None where it is absent or malformed."""
    try:
        said = orjson.loads(value or b"")
        if said.pop("layout") != LAYOUT:
            return None
        pairs = tuple((name, text) for name, text in said.pop("attributes", ()))
        return Item(item_id, said.pop("title", ""), **said, attributes=pairs)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
