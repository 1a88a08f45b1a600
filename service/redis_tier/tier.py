"""One bundle's records in Redis: read and verified, written without ever going back in time.

Streams are `changes.py`'s, loading many at once `load.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

import orjson

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.generation import Current
from service.item_codec import EncodedItems, ItemCodec
from service.redis_tier.door import RedisDoor
from service.redis_tier.item_json import pack_item, unpack_item
from service.redis_tier.keys import KeySpace
from service.redis_tier.record import (
    Block,
    RecordShape,
    is_sound,
    pack,
    pack_deleted,
    unpack_block,
)
from service.redis_tier.scripts import ScriptName
from service.store.item_records import text_hash

DELETION_DAYS = 7  # how long a deletion is remembered against changes that come late


class Outcome(IntEnum):
    """What became of a write; all but NEWER_STANDS leave what was to be written."""

    NEWER_STANDS = 0
    WRITTEN = 1
    SAME = 2


@dataclass(frozen=True, slots=True)
class Write:
    """An item's record and its fields; no fields say that the item is gone."""

    item_id: str
    record: bytes
    fields: bytes = b""


def shape_of(bundle: BundleManifest) -> RecordShape:
    """What records of a bundle look like."""
    return RecordShape(bundle.bundle_id, bundle.rows, bundle.row_bytes)


def writes(
    shape: RecordShape,
    items: Sequence[Item],
    texts: Sequence[str],
    encoded: EncodedItems,
    versions: Sequence[int],
) -> list[Write]:
    """What writing these encoded items takes; `texts` are what the encoder saw."""
    return [
        Write(
            item.item_id,
            pack(
                shape,
                encoded.embeddings[at],
                content_hash=text_hash(texts[at]),
                source_version=versions[at],
                token_count=int(encoded.token_counts[at]),
                truncated=bool(encoded.truncated[at]),
            ),
            pack_item(item),
        )
        for at, item in enumerate(items)
    ]


def deletion(shape: RecordShape, item_id: str, *, source_version: int) -> Write:
    """What deleting an item takes."""
    return Write(item_id, pack_deleted(shape, source_version=source_version))


class RedisTier:
    """The records of one bundle in one key space."""

    def __init__(self, door: RedisDoor, shape: RecordShape, keys: KeySpace | None = None) -> None:
        self.door = door
        self.shape = shape
        self.keys = keys or KeySpace()

    def rows(self, item_ids: Sequence[str]) -> Block:
        """The records of some items, verified: one pipelined round trip."""
        bundle = self.shape.bundle_id
        values = self.door.values([self.keys.rows(bundle, item_id) for item_id in item_ids])
        return unpack_block(self.shape, values)

    def items(self, item_ids: Sequence[str]) -> list[Item | None]:
        """The catalogue's fields of some items; None where they are absent or malformed."""
        bundle = self.shape.bundle_id
        values = self.door.values([self.keys.item(bundle, item_id) for item_id in item_ids])
        return [unpack_item(value, at) for value, at in zip(values, item_ids, strict=True)]

    def write(self, changes: Sequence[Write]) -> list[Outcome]:
        """Write records, each only over an older one; what became of each.

        A newer record that turns out damaged is removed, and the write tried once more: its
        version cannot be trusted.
        """
        written = self._write(changes)
        refused = [at for at, done in enumerate(written) if not done]
        healed = [at for at in refused if self._discard_if_damaged(changes[at].item_id)]
        for at, done in zip(healed, self._write([changes[at] for at in healed]), strict=True):
            written[at] = done
        return written

    def ids(self, keys: Sequence[bytes]) -> list[str]:
        """The items whose records lie at these keys."""
        return [self.keys.item_id(self.shape.bundle_id, key) for key in keys]

    def _write(self, changes: Sequence[Write]) -> list[Outcome]:
        """One call of the script for each slot that the keys lie in, all in one round trip."""
        keys = [self._keys_of(change.item_id) for change in changes]
        slots = [self.door.slot(rows) for rows, _ in keys]
        order = sorted(range(len(changes)), key=slots.__getitem__)
        groups = [list(group) for _, group in groupby(order, key=slots.__getitem__)]
        answers = self.door.run(ScriptName.WRITE, [self._call(g, keys, changes) for g in groups])
        written = [Outcome.NEWER_STANDS] * len(changes)
        for group, answer in zip(groups, answers, strict=True):
            for at, done in zip(group, answer, strict=True):
                written[at] = Outcome(done)
        return written

    def _call(
        self, group: list[int], keys: list[tuple[bytes, bytes]], changes: Sequence[Write]
    ) -> tuple[list[bytes], list[bytes | int]]:
        arguments: list[bytes | int] = []
        for at in group:
            arguments += (changes[at].record, changes[at].fields)
        return [key for at in group for key in keys[at]], [*arguments, DELETION_DAYS * 86_400]

    def _keys_of(self, item_id: str) -> tuple[bytes, bytes]:
        bundle = self.shape.bundle_id
        return self.keys.rows(bundle, item_id), self.keys.item(bundle, item_id)

    def _discard_if_damaged(self, item_id: str) -> bool:
        key, _ = self._keys_of(item_id)
        (value,) = self.door.values([key])
        if value is None or is_sound(self.shape, value):
            return False
        self.door.run(ScriptName.DISCARD, [([key], [value])])
        return True


def encoded_writes(
    shape: RecordShape, codec: ItemCodec, items: Sequence[Item], versions: Sequence[int]
) -> tuple[EncodedItems, list[Write]]:
    """Encode items as refresh does; their rows, and what writing them takes."""
    texts = [codec.text(item) for item in items]
    encoded = codec.encode(texts)
    return encoded, writes(shape, items, texts, encoded, versions)


def read_live(door: RedisDoor, keys: KeySpace) -> Current | None:
    """The bundle and generation that the alias names; None where there is no alias."""
    value = door.value(keys.live)
    if value is None:
        return None
    try:
        return Current.model_validate_json(value)
    except ValueError as fault:
        raise BadInput(f"{door.name}: {keys.live}: expected generation and bundle") from fault


def name_live(door: RedisDoor, keys: KeySpace, live: Current) -> None:
    """Make a bundle and generation the ones that answer: one SET, so nobody sees half of it."""
    door.put(keys.live, orjson.dumps(live.model_dump()))
