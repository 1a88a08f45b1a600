"""A replica: its generation becomes what Redis's records say, and loses nothing on the way."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from relevance.domain import Item
from relevance.errors import Unavailable
from service.redis_tier.changes import START, ChangeStream
from service.redis_tier.replica import MissedChanges, Replica, open_replica
from service.redis_tier.tier import RedisTier, deletion
from tests.service.redis_tier.stores import codec_of, current_reader, put

NEW = Item("new", "red water bottle")
CHANGED = Item("B001", "blue oak desk", brand="Acme")


@pytest.fixture
def root(store_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def codec(bundle_folder, bundle):
    return codec_of(bundle_folder, bundle)


@pytest.fixture
def replica(tier: RedisTier, root: Path, bundle) -> Replica:
    return open_replica(tier, root, bundle)


@pytest.fixture
def stream(tier: RedisTier) -> ChangeStream:
    return ChangeStream(tier.door, tier.keys.changes(tier.shape.bundle_id))


def test_a_change_in_redis_is_scoreable_here_as_if_refresh_had_made_it(
    tier, replica, stream, codec, root
) -> None:
    replica.follow_from(START)
    put(tier, codec, [NEW, CHANGED], version=1)
    stream.announce(["new", "B001"])

    step = replica.step(wait_ms=0)

    reader = current_reader(root)
    rows = reader.rows_of(["new", "B001"])
    expected = codec.encode([codec.text(NEW), codec.text(CHANGED)])
    assert (step.put, step.removed, step.refused) == (2, 0, 0)
    assert step.sequence == reader.sequence > 0
    assert np.array_equal(reader.arena[rows], expected.embeddings)
    assert [reader.item(row) for row in rows.tolist()] == [NEW, CHANGED]


def test_a_deletion_in_redis_removes_the_item_here(tier, replica, stream, root) -> None:
    replica.follow_from(START)
    tier.write([deletion(tier.shape, "B001", source_version=5)])
    stream.announce(["B001"])

    step = replica.step(wait_ms=0)

    assert step.removed == 1
    assert current_reader(root).rows_of(["B001", "B003"]).tolist()[0] == -1
    assert current_reader(root).rows_of(["B003"])[0] >= 0


def test_a_second_step_reads_only_what_came_since(tier, replica, stream, codec) -> None:
    replica.follow_from(START)
    put(tier, codec, [NEW], version=1)
    stream.announce(["new"])
    replica.step(wait_ms=0)

    assert replica.step(wait_ms=0).entries == 0


def test_a_replica_that_died_before_it_kept_its_place_ends_in_the_same_state(
    tier, replica, stream, codec, root
) -> None:
    replica.follow_from(START)
    put(tier, codec, [NEW], version=1)
    stream.announce(["new"])
    replica.step(wait_ms=0)
    before = current_reader(root)

    replica.follow_from(START)  # what is on disk when the process dies after the append
    replica.step(wait_ms=0)

    after = current_reader(root)
    assert np.array_equal(
        after.arena[after.rows_of(["new"])], before.arena[before.rows_of(["new"])]
    )
    assert len(after.live_rows()) == len(before.live_rows())


def test_a_damaged_record_leaves_the_item_as_it_was(
    tier, replica, stream, codec, root, client
) -> None:
    replica.follow_from(START)
    put(tier, codec, [CHANGED], version=1)
    client.setrange(tier.keys.rows(tier.shape.bundle_id, "B001"), 50, b"\xff\x00\xff")
    stream.announce(["B001"])
    before = current_reader(root)

    step = replica.step(wait_ms=0)

    assert (step.put, step.refused) == (0, 1)
    assert current_reader(root).rows_of(["B001"]) == before.rows_of(["B001"])


def test_a_trimmed_stream_asks_for_a_resync_which_finds_every_difference(
    tier, replica, stream, codec, root, client
) -> None:
    replica.follow_from("5-0")
    unchanged = current_reader(root).item(int(current_reader(root).rows_of(["B003"])[0]))
    put(tier, codec, [NEW, CHANGED, unchanged], version=1)
    tier.write([deletion(tier.shape, "B002", source_version=1)])
    stream.announce(["new"])
    with pytest.raises(MissedChanges, match="expected to go on after 5-0"):
        replica.step(wait_ms=0)

    found = replica.resync()

    reader = current_reader(root)
    assert (found.put, found.removed) == (2, 1)  # not what is the same already
    assert reader.rows_of(["new", "B001", "B002", "B004"]).tolist()[2] == -1
    assert reader.item(int(reader.rows_of(["B001"])[0])) == CHANGED
    assert reader.rows_of(["B004"])[0] >= 0  # Redis lacks it; that alone removes nothing
    assert replica.step(wait_ms=0).entries == 0


def test_without_redis_the_replica_stays_as_it_is(dead_tier, root, bundle) -> None:
    replica = open_replica(dead_tier, root, bundle)
    replica.follow_from(START)
    before = current_reader(root).sequence

    with pytest.raises(Unavailable):
        replica.step(wait_ms=0)
    assert current_reader(root).sequence == before
