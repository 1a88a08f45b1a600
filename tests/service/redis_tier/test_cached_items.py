"""The bounded cache: the same bytes as a local arena, and an honest answer when Redis fails."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.generation import StorePaths
from service.fakes import ItemsInMemory, items_in_memory
from service.redis_tier.breaker import Breaker
from service.redis_tier.cached_items import (
    REDIS_DAMAGED,
    REDIS_INCOMPLETE,
    REDIS_UNAVAILABLE,
    CachedItems,
)
from service.redis_tier.record import pack_deleted
from service.redis_tier.tier import RedisTier, deletion
from service.store.delta_log import append_changes
from service.store.found import Found, find
from service.store.segment import Changes
from tests.service.conftest import CATALOGUE
from tests.service.redis_tier.stores import codec_of, current_reader, put
from tests.service.redis_tier.test_tier import MANY_RUNS

IDS = [item.item_id for item in CATALOGUE[:20]]
WANTED = st.lists(st.sampled_from([*IDS, "unknown"]), max_size=30)


@pytest.fixture
def local(bundle_folder, bundle) -> ItemsInMemory:
    return items_in_memory(CATALOGUE[:20], codec_of(bundle_folder, bundle))


@pytest.fixture
def filled(tier: RedisTier, bundle_folder, bundle) -> RedisTier:
    put(tier, codec_of(bundle_folder, bundle), CATALOGUE[:20], version=1)
    return tier


def cache(tier: RedisTier, *, capacity: int = 5, **options) -> CachedItems:
    return CachedItems(tier, capacity=capacity, generation_id="g", **options)


def assert_same(found: Found, expected: Found) -> None:
    assert np.array_equal(found.is_known, expected.is_known)
    assert np.array_equal(found.token_counts, expected.token_counts)
    assert np.array_equal(found.truncated, expected.truncated)
    assert np.array_equal(rows_of(found), rows_of(expected))


def rows_of(found: Found) -> np.ndarray:
    known = np.flatnonzero(found.is_known).tolist()
    return np.array([found.arenas[found.arena[at]][found.row[at]] for at in known])


@MANY_RUNS
@given(requests=st.lists(WANTED, min_size=1, max_size=4))
def test_every_request_finds_what_a_local_arena_has_whatever_was_cached(
    filled, local, requests
) -> None:
    cached = cache(filled)

    for wanted in requests:
        found = cached.find(wanted)

        assert_same(found, find(local, wanted))
        assert found.degraded == ()
        assert len(cached) <= 5


def test_a_cached_item_needs_no_redis(filled, dead_tier) -> None:
    cached = cache(filled, capacity=20)
    cached.find(IDS[:5])
    cached._tier = dead_tier

    found = cached.find(IDS[:5])

    assert found.is_known.all()
    assert found.degraded == ()


def test_the_item_unused_for_longest_goes_first(filled) -> None:
    cached = cache(filled, capacity=2)
    for wanted in (["B001"], ["B002"], ["B001"], ["B003"]):
        cached.find(wanted)

    assert list(cached._slot_of) == ["B001", "B003"]


def test_without_redis_the_local_generation_answers_and_says_so(dead_tier, local) -> None:
    found = cache(dead_tier, local=local).find([*IDS, "unknown"])

    assert_same(found, find(local, [*IDS, "unknown"]))
    assert found.degraded == (REDIS_UNAVAILABLE,)


def test_without_redis_and_a_local_generation_items_are_missing(dead_tier) -> None:
    found = cache(dead_tier).find(IDS)

    assert not found.is_known.any()
    assert found.degraded == (REDIS_UNAVAILABLE,)


def test_a_redis_that_lies_is_not_believed(filled, local, client) -> None:
    key = filled.keys.rows(filled.shape.bundle_id, "B001")
    client.setrange(key, 60, b"\x00\x01\x02")

    found = cache(filled, local=local).find(IDS)

    assert_same(found, find(local, IDS))
    assert found.degraded == (REDIS_DAMAGED,)


KEPT, LACKING, DELETED, DAMAGED = "kept", "lacking", "deleted", "damaged"


@MANY_RUNS
@given(states=st.lists(st.sampled_from([KEPT, LACKING, DELETED, DAMAGED]), min_size=6, max_size=6))
def test_what_redis_lacks_comes_from_the_local_generation_and_what_it_deleted_does_not(
    filled, local, client, states
) -> None:
    """Whatever Redis holds of each item: only a deletion that it knows of makes one missing."""
    written = dict(zip(IDS[:6], states, strict=True))
    keys = {item_id: filled.keys.rows(filled.shape.bundle_id, item_id) for item_id in written}
    before = {item_id: client.get(key) for item_id, key in keys.items()}
    for item_id, state in written.items():
        if state in (LACKING, DELETED):
            client.delete(keys[item_id])
        if state == DELETED:
            client.set(keys[item_id], pack_deleted(filled.shape, source_version=2))
        if state == DAMAGED:
            client.setrange(keys[item_id], 60, b"\x00\x01\x02")
    expected = find(local, [i if written[i] != DELETED else "unknown" for i in written])

    found = cache(filled, local=local).find([*written])

    assert_same(found, expected)
    reason = REDIS_DAMAGED if DAMAGED in states else REDIS_INCOMPLETE
    assert found.degraded == ((reason,) if {DAMAGED, LACKING} & {*states} else ())
    for item_id, value in before.items():
        client.set(keys[item_id], value)


def test_fields_of_a_deleted_item_do_not_come_back_from_the_local_generation(filled, local) -> None:
    filled.write([deletion(filled.shape, "B001", source_version=2)])
    filled.door.remove([filled.keys.item(filled.shape.bundle_id, "B002")])

    items = cache(filled, local=local).stored_items(["B001", "B002", "B003", "unknown"])

    assert items == [None, CATALOGUE[1], CATALOGUE[2], None]


def test_the_local_generation_behind_it_follows_its_deltas(
    dead_tier, own_store, bundle_folder, bundle
) -> None:
    cached = cache(dead_tier, local=current_reader(own_store))
    changes = Changes.of([], codec_of(bundle_folder, bundle).encode([]), [], ["B001"])
    append_changes(StorePaths(own_store), changes, bundle_id=bundle.bundle_id)
    assert cached.find(["B001"]).is_known[0]

    assert cached.latest() is cached

    assert not cached.find(["B001"]).is_known[0]
    assert cache(dead_tier).latest().find(["B001"]).degraded == (REDIS_UNAVAILABLE,)


def test_after_a_failure_redis_is_left_alone_for_a_while(dead_tier, local) -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    cached = cache(dead_tier, local=local, breaker=breaker)
    cached.find(IDS)

    assert not breaker.lets_pass()
    now[0] = 1.0
    assert breaker.lets_pass()


def test_a_changed_item_is_fetched_anew(filled, bundle_folder, bundle) -> None:
    cached = cache(filled, capacity=20)
    before = rows_of(cached.find(["B001"]))
    filled.write([deletion(filled.shape, "B001", source_version=2)])
    assert np.array_equal(rows_of(cached.find(["B001"])), before)

    cached.invalidate(["B001"])

    assert not cached.find(["B001"]).is_known[0]
    assert cached.sequence == 1


def test_a_record_that_changed_while_it_was_fetched_is_not_cached(filled) -> None:
    cached = cache(filled, capacity=20)

    class ChangingMeanwhile:
        shape = filled.shape

        def rows(self, item_ids: Sequence[str]):
            block = filled.rows(item_ids)
            cached.invalidate(["B001"])
            return block

    cached._tier = ChangingMeanwhile()
    assert cached.find(["B001", "B002"]).is_known.all()

    assert list(cached._slot_of) == ["B002"]


def test_fields_come_from_redis_or_else_from_the_local_generation(filled, dead_tier, local) -> None:
    assert cache(filled).stored_items(["B001", "unknown"]) == [CATALOGUE[0], None]
    assert cache(dead_tier, local=local).stored_items(["B001"]) == [CATALOGUE[0]]
