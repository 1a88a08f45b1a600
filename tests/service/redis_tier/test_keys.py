"""Key names: an item's two keys share a slot, and ids come back from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from relevance.errors import BadInput
from service.redis_tier.keys import KeySpace
from tests.service.conftest import UNHURRIED

BUNDLE = "0123456789abcdef"
IDS = st.text(st.characters(), min_size=1)  # braces, colons and lone surrogates among them


@UNHURRIED
@given(item_id=IDS)
def test_an_id_comes_back_from_its_key_and_both_its_keys_share_a_slot(item_id) -> None:
    keys = KeySpace()

    rows, item = keys.rows(BUNDLE, item_id), keys.item(BUNDLE, item_id)

    assert keys.item_id(BUNDLE, rows) == item_id
    assert key_slot(rows) == key_slot(item)


@UNHURRIED
@given(one=IDS, other=IDS)
def test_two_ids_never_share_a_key(one, other) -> None:
    keys = KeySpace()

    assert (keys.rows(BUNDLE, one) == keys.rows(BUNDLE, other)) == (one == other)


def test_items_are_spread_over_the_slots() -> None:
    slots = {key_slot(KeySpace().rows(BUNDLE, f"item-{at}")) for at in range(1000)}

    assert len(slots) > 900


def test_a_space_with_a_colon_is_refused() -> None:
    with pytest.raises(BadInput, match="expected 1 to 32 of a-z, 0-9 and -, got 'a:b'"):
        KeySpace("a:b")
