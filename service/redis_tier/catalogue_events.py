"""What a shop writes to the catalogue's stream: one entry for each changed or removed item.

    item      JSON: item_id and the catalogue's columns; `attributes` is an object
    delete    instead of `item`: the id of an item that is gone
    version   whole number, higher is newer; the entry's own milliseconds where it is absent

The last entry of an item decides. Applying them is `watch.py`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import orjson

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.text import normalise
from service.redis_tier.door import Entry
from service.store.flat_ids import decode_id

MOST_VERSION = 2**63 - 1
_TEXTS = tuple(f.name for f in fields(Item) if f.name not in ("item_id", "attributes"))


@dataclass(frozen=True, slots=True)
class CatalogueEvent:
    """One item as it is from `version` on; no item says that it is gone."""

    item_id: str
    version: int
    milliseconds: int
    item: Item | None


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """An entry that is no event, and why."""

    entry: Entry
    reason: str


def read_events(entries: Iterable[Entry]) -> tuple[list[CatalogueEvent], list[RefusedEntry]]:
    """The newest event of each item, in the order they came, and what could not be read."""
    newest: dict[str, CatalogueEvent] = {}
    refused = []
    for entry in entries:
        try:
            event = read_event(entry)
        except BadInput as fault:
            refused.append(RefusedEntry(entry, str(fault)))
            continue
        before = newest.get(event.item_id)
        if before is None or before.version <= event.version:
            newest[event.item_id] = event
    return list(newest.values()), refused


def read_event(entry: Entry) -> CatalogueEvent:
    """The event in an entry; raises `BadInput` naming the entry and what is wrong."""
    said = entry.fields
    if ("item" in said) == ("delete" in said):
        raise BadInput(f"{entry.entry_id}: expected either `item` or `delete`")
    version = _version(entry)
    if "delete" in said:
        return CatalogueEvent(decode_id(said["delete"]), version, entry.milliseconds, None)
    item = _item(entry)
    return CatalogueEvent(item.item_id, version, entry.milliseconds, item)


def _version(entry: Entry) -> int:
    text = entry.fields.get("version")
    if text is None:
        return entry.milliseconds
    if not text.isdigit() or int(text) > MOST_VERSION:
        raise BadInput(f"{entry.entry_id}: version: expected 0 to {MOST_VERSION}, got {text!r:.40}")
    return int(text)


def _item(entry: Entry) -> Item:
    try:
        said = orjson.loads(entry.fields["item"])
        item_id, attributes = said["item_id"], said.get("attributes") or {}
        texts = {name: normalise(_text(said.get(name), name)) for name in _TEXTS}
        pairs = tuple((normalise(name), normalise(str(text))) for name, text in attributes.items())
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BadInput(
            f"{entry.entry_id}: item: expected a JSON object with `item_id` and texts: {fault!r}"
        ) from fault
    if not isinstance(item_id, str) or not item_id:
        raise BadInput(f"{entry.entry_id}: item_id: expected a text, got {item_id!r:.40}")
    return Item(item_id, **texts, attributes=tuple(p for p in pairs if all(p)))


def _text(value: Any, name: str) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value or ""
