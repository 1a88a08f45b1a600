"""The tier: reads are verified, and no write ever goes back in time."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.errors import BadInput, Unavailable
from relevance.generation import Current
from service.item_codec import EncodedItems
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.keys import KeySpace
from service.redis_tier.tier import (
    Outcome,
    RedisTier,
    Write,
    deletion,
    name_live,
    read_live,
    shape_of,
    writes,
)
from tests.service.redis_tier.redis_server import free_port

MANY_RUNS = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write_of(tier: RedisTier, item_id: str, *, version: int, fill: int = 130) -> Write:
    shape = tier.shape
    encoded = EncodedItems(
        np.full((1, shape.rows, shape.dim), fill, np.uint8),
        np.array([2], np.uint8),
        np.array([False]),
    )
    item = Item(item_id, f"title {fill}", attributes=(("size", "42"), ("size", "43")))
    (write,) = writes(shape, [item], [item.title], encoded, [version])
    return write


def test_written_records_and_fields_are_read_back(tier) -> None:
    written = tier.write([write_of(tier, "a", version=1, fill=7), write_of(tier, "b", version=1)])

    block = tier.rows(["b", "unknown", "a"])
    assert written == [True, True]
    assert block.is_found.tolist() == [True, False, True]
    assert np.all(block.rows[2] == 7)
    assert tier.items(["a", "unknown"]) == [
        Item("a", "title 7", attributes=(("size", "42"), ("size", "43"))),
        None,
    ]


@MANY_RUNS
@given(versions=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6))
def test_whatever_the_order_of_writes_the_newest_version_stays(tier, versions) -> None:
    tier.door.remove([tier.keys.rows(tier.shape.bundle_id, "a")])

    for fill, version in enumerate(versions):
        tier.write([write_of(tier, "a", version=version, fill=fill)])

    newest = max(versions)
    last_of_newest = len(versions) - 1 - versions[::-1].index(newest)
    block = tier.rows(["a"])
    assert block.source_versions[0] == newest
    assert np.all(block.rows[0] == last_of_newest)


@pytest.mark.parametrize(
    ("older", "newer"),
    [(2**53, 2**53 + 1), (2**32 - 1, 2**32), (255, 256), (2**63 - 2, 2**63 - 1)],
)
def test_versions_that_a_double_cannot_tell_apart_are_told_apart(tier, older, newer) -> None:
    tier.write([write_of(tier, "a", version=newer)])

    assert tier.write([write_of(tier, "a", version=older)]) == [False]
    assert tier.rows(["a"]).source_versions[0] == newer


def test_a_deleted_item_is_not_brought_back_by_an_older_change(tier) -> None:
    tier.write([write_of(tier, "a", version=1)])
    tier.write([deletion(tier.shape, "a", source_version=3)])

    assert tier.write([write_of(tier, "a", version=2)]) == [False]
    block = tier.rows(["a"])
    assert not block.is_found[0]
    assert block.is_deleted[0]
    assert tier.items(["a"]) == [None]
    assert tier.write([write_of(tier, "a", version=4)]) == [True]


def test_a_damaged_record_is_missing_and_the_next_write_heals_it(tier, client) -> None:
    tier.write([write_of(tier, "a", version=9)])
    client.setrange(tier.keys.rows(tier.shape.bundle_id, "a"), 24, b"\xff" * 8)  # its version

    assert tier.rows(["a"]).is_refused[0]
    assert tier.write([write_of(tier, "a", version=5, fill=8)]) == [True]
    assert np.all(tier.rows(["a"]).rows[0] == 8)


def test_records_of_two_bundles_and_two_spaces_never_meet(tier, bundle) -> None:
    other_shape = shape_of(bundle.model_copy(update={"bundle_id": "f" * 16}))
    tier.write([write_of(tier, "a", version=1)])

    assert not RedisTier(tier.door, other_shape).rows(["a"]).is_found[0]
    assert not RedisTier(tier.door, tier.shape, KeySpace("other")).rows(["a"]).is_found[0]


def test_the_alias_names_what_answers(door) -> None:
    assert read_live(door, KeySpace()) is None
    live = Current(generation="20261121-1", bundle="0123456789abcdef")

    name_live(door, KeySpace(), live)

    assert read_live(door, KeySpace()) == live


def test_a_malformed_alias_is_told(door) -> None:
    door.put(KeySpace().live, b"{}")

    with pytest.raises(BadInput, match="ellm:live: expected generation and bundle"):
        read_live(door, KeySpace())


def test_writing_the_same_again_changes_nothing_and_says_so(tier) -> None:
    tier.write([write_of(tier, "a", version=1)])

    assert tier.write([write_of(tier, "a", version=1)]) == [Outcome.SAME]
    assert tier.write([write_of(tier, "a", version=1, fill=9)]) == [Outcome.WRITTEN]


def test_a_script_that_redis_forgot_is_loaded_again(tier, client) -> None:
    tier.write([write_of(tier, "a", version=1)])
    client.script_flush()

    assert tier.write([write_of(tier, "a", version=2)]) == [True]


def test_no_redis_is_unavailable_and_no_secret_is_shown() -> None:
    settings = RedisSettings(f"redis://user:secret@127.0.0.1:{free_port()}/0", timeout_s=0.2)

    with pytest.raises(Unavailable, match=r"^redis://127.0.0.1:\d+/0: ConnectionError"):
        RedisDoor.open(settings)
    assert "secret" not in settings.shown


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(BadInput, match="expected one of redis://, .*got `http://`"):
        RedisSettings("http://host")
