"""Key names in Redis. One name space may hold several bundles; their keys never meet.

    <space>:live                              JSON: the bundle and generation that answer
    <space>:r:<bundle>:{<tag>}:<item id>      rows: `record.py`
    <space>:i:<bundle>:{<tag>}:<item id>      the catalogue's fields: `item_json.py`
    <space>:changes:<bundle>                  Stream: which records changed
    <space>:catalogue                         Stream: what the shop changed, for `--watch`

The tag is a hash of the item id. It is the part that Redis Cluster places keys by, so an item's
two keys share a slot and one script may write both.
"""

import re
from dataclasses import dataclass

import xxhash

from relevance.errors import BadInput
from service.store.flat_ids import decode_id, encode_id

TAGS = 1 << 32  # eight digits: of four, CRC16 reaches fewer than half of the slots
_TAG_LENGTH = len("{00000000}:")


@dataclass(frozen=True, slots=True)
class KeySpace:
    """The names of one space; a space is lower-case letters, digits and `-`."""

    space: str = "ellm"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]{1,32}", self.space):
            raise BadInput(
                f"Redis key space: expected 1 to 32 of a-z, 0-9 and -, got {self.space!r}"
            )

    @property
    def live(self) -> str:
        """The alias."""
        return f"{self.space}:live"

    @property
    def catalogue(self) -> str:
        """The stream of the shop's changes."""
        return f"{self.space}:catalogue"

    def changes(self, bundle_id: str) -> str:
        """The stream of one bundle's changed records."""
        return f"{self.space}:changes:{bundle_id}"

    def rows(self, bundle_id: str, item_id: str) -> bytes:
        """Where an item's record lies."""
        return self._rows(bundle_id).encode() + _tagged(item_id)

    def item(self, bundle_id: str, item_id: str) -> bytes:
        """Where an item's fields lie."""
        return f"{self.space}:i:{bundle_id}:".encode() + _tagged(item_id)

    def all_rows(self, bundle_id: str) -> str:
        """The pattern of every record of a bundle."""
        return f"{self._rows(bundle_id)}*"

    def item_id(self, bundle_id: str, key: bytes) -> str:
        """The item whose record lies at `key`."""
        return decode_id(key[len(self._rows(bundle_id)) + _TAG_LENGTH :])

    def _rows(self, bundle_id: str) -> str:
        return f"{self.space}:r:{bundle_id}:"


def _tagged(item_id: str) -> bytes:
    encoded = encode_id(item_id)
    return b"{%08x}:%b" % (xxhash.xxh3_64_intdigest(encoded) % TAGS, encoded)
