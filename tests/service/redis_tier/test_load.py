"""Loading: everything arrives, nothing newer is overwritten, and what does not fit is refused."""

import numpy as np
import pytest
import redis

from relevance.domain import Item
from relevance.errors import Unavailable
from service.redis_tier.capacity import Estimate, check_fits
from service.redis_tier.changes import START
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.load import ReadyItems, load, prune
from service.redis_tier.tier import RedisTier, shape_of
from tests.service.redis_tier.redis_server import free_port, redis_server
from tests.service.redis_tier.test_tier import write_of

COUNT = 300


def ready(tier: RedisTier, count: int = COUNT, *, version: int = 1) -> list[ReadyItems]:
    shape = tier.shape
    random = np.random.default_rng(0)
    items = [Item(f"item-{at}", f"title {at}") for at in range(count)]
    rows = random.integers(0, 256, (count, shape.rows, shape.dim), np.uint8)
    counts, hashes = np.full(count, 3, np.uint8), np.arange(count, dtype=np.uint64)
    parts = [slice(0, count // 3), slice(count // 3, count)]
    nothing = np.zeros(count, np.uint8)
    versions = np.full(count, version, np.uint64)
    return [
        ReadyItems(
            items[part], rows[part], counts[part], nothing[part], hashes[part], versions[part]
        )
        for part in parts
    ]


def load_all(tier: RedisTier, count: int = COUNT, *, version: int = 1, announce: bool = False):
    return load(tier, ready(tier, count, version=version), items=count, announce=announce)


def test_every_item_arrives_with_its_rows_and_fields(tier) -> None:
    report = load_all(tier)

    ids = [f"item-{at}" for at in range(COUNT)]
    block = tier.rows(ids)
    batches = ready(tier)
    assert (report.written, report.same, report.newer) == (COUNT, 0, 0)
    assert block.is_found.all()
    assert np.array_equal(block.rows, np.concatenate([batch.embeddings for batch in batches]))
    assert np.array_equal(block.content_hashes, np.arange(COUNT))
    assert tier.items(["item-7"]) == [Item("item-7", "title 7")]


def test_loading_never_overwrites_a_newer_record_and_renews_older_ones(tier) -> None:
    tier.write([write_of(tier, "item-3", version=9), write_of(tier, "item-4", version=1)])

    report = load_all(tier, version=5)

    block = tier.rows(["item-3", "item-4"])
    assert (report.written, report.same, report.newer) == (COUNT - 1, 0, 1)
    assert block.source_versions.tolist() == [9, 5]


def test_replicas_hear_of_each_item_only_where_that_was_asked_for(tier) -> None:
    stream = tier.keys.changes(tier.shape.bundle_id)
    load_all(tier)
    assert tier.door.read(stream, after=START, count=9999, wait_ms=0) == []

    load_all(tier, version=2, announce=True)

    told = tier.door.read(stream, after=START, count=9999, wait_ms=0)
    assert sorted(e.fields["id"].decode() for e in told) == sorted(
        f"item-{at}" for at in range(COUNT)
    )


def test_loading_the_same_again_writes_and_announces_nothing(tier) -> None:
    load_all(tier)

    report = load_all(tier, announce=True)

    stream = tier.keys.changes(tier.shape.bundle_id)
    assert (report.written, report.same) == (0, COUNT)
    assert tier.door.read(stream, after=START, count=9, wait_ms=0) == []


def test_pruning_marks_as_deleted_what_is_not_known_unless_it_is_newer(tier) -> None:
    load_all(tier)
    tier.write([write_of(tier, "item-1", version=9)])
    kept = {"item-0"} | {f"item-{at}" for at in range(5, COUNT)}

    removed = prune(
        tier, lambda ids: [item_id in kept for item_id in ids], source_version=5, announce=True
    )

    block = tier.rows([f"item-{at}" for at in range(6)])
    told = tier.door.read(tier.keys.changes(tier.shape.bundle_id), after=START, count=9, wait_ms=0)
    assert removed == 3
    assert block.is_found.tolist() == [True, True, False, False, False, True]
    assert {entry.fields["id"] for entry in told} == {b"item-2", b"item-3", b"item-4"}


def test_what_is_there_already_needs_no_room(tier) -> None:
    assert load_all(tier).estimate.items == COUNT
    assert load_all(tier, version=2).estimate.items == 0


def test_probes_of_the_estimate_are_removed(tier, client) -> None:
    load_all(tier)

    assert client.dbsize() == 2 * COUNT


def test_what_does_not_fit_is_refused_with_both_sizes() -> None:
    estimate = Estimate(items=1000, bytes_per_item=2**20, free=2**20, policy="noeviction")

    with pytest.raises(
        Unavailable, match="r: 1,000 new items need about 1,000 MiB, 1 MiB are free"
    ):
        check_fits(estimate, name="r")


@pytest.mark.slow
@pytest.mark.network
def test_the_estimate_is_right_within_a_tenth(tmp_path, bundle) -> None:
    with redis_server(tmp_path) as port:
        tier = real_tier(port, bundle)
        client = redis.Redis(port=port)
        before = client.info("memory")["used_memory"]

        report = load_all(tier, 20_000)

        taken = client.info("memory")["used_memory"] - before
        assert abs(report.estimate.needed - taken) < 0.1 * taken


@pytest.mark.slow
@pytest.mark.network
def test_a_redis_too_small_is_refused_before_anything_is_written(tmp_path, bundle) -> None:
    with redis_server(tmp_path, "--maxmemory", "3mb") as port:
        with pytest.raises(Unavailable, match="20,000 new items need about"):
            load_all(real_tier(port, bundle), 20_000)

        assert redis.Redis(port=port).dbsize() == 0


@pytest.mark.slow
@pytest.mark.network
def test_a_load_that_redis_did_not_survive_is_completed_by_the_next(tmp_path, bundle) -> None:
    port, loaded = free_port(), []

    def die_half_way(items: int) -> None:
        loaded.append(items)
        if len(loaded) == 20:
            redis.Redis(port=port).shutdown(nosave=True)

    with redis_server(tmp_path, port=port):
        tier = real_tier(port, bundle)
        with pytest.raises(Unavailable, match="ConnectionError|TimeoutError"):
            load(
                tier,
                ready(tier, 20_000),
                items=20_000,
                announce=False,
                progress=die_half_way,
            )
    with redis_server(tmp_path, port=port):
        tier = real_tier(port, bundle)

        report = load_all(tier, 20_000)

        ids = [f"item-{at}" for at in range(20_000)]
        assert report.written == 20_000
        assert tier.rows(ids).is_found.all()


def real_tier(port: int, bundle) -> RedisTier:
    door = RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}"))
    return RedisTier(door, shape_of(bundle))
