"""The service over Redis: answers as from the arena, and the arena's own when Redis is gone."""

import pytest
from fastapi.testclient import TestClient

from relevance.generation import StorePaths, read_current
from service.app import create_app
from service.item_stores import open_items
from service.redis_tier.cached_items import CachedItems
from service.redis_tier.changes import START, ChangeStream
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.invalidation import Follower
from service.redis_tier.tier import RedisTier, deletion, shape_of
from service.settings import Settings
from service.store.generation_reader import GenerationReader
from tests.service.conftest import CATALOGUE
from tests.service.redis_tier.redis_server import free_port, redis_server
from tests.service.redis_tier.stores import codec_of, put

IDS = [item.item_id for item in CATALOGUE]
SCORE = {"query": "red lamp", "item_ids": [*IDS, "unknown"]}
EXPLAIN = {"query": "red lamp", "item_id": "lamp-3"}


def settings_of(root, port: int, **more) -> Settings:
    url = f"redis://127.0.0.1:{port}"  # a Redis that is gone refuses at once; a slow one is none
    return Settings(store=root, redis_url=url, redis_timeout_ms=60_000, **more)


def answers(settings: Settings) -> list[dict]:
    with TestClient(create_app(settings)) as client:
        return [
            client.post("/score", json=SCORE).json(),
            client.post("/explain", json=EXPLAIN).json(),
            client.post("/score", json=SCORE).json(),
        ]


@pytest.mark.slow
@pytest.mark.network
def test_a_cache_over_redis_answers_as_the_arena_does(
    store_folder, bundle_folder, bundle, tmp_path
) -> None:
    with redis_server(tmp_path) as port:
        tier = RedisTier(
            RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}")), shape_of(bundle)
        )
        put(tier, codec_of(bundle_folder, bundle), CATALOGUE, version=1)

        over_redis = answers(settings_of(store_folder, port, arena_max_bytes=10_000))

        assert over_redis == answers(Settings(store=store_folder))


@pytest.mark.slow
@pytest.mark.network
def test_when_redis_dies_the_local_generation_answers_and_says_so(
    store_folder, bundle_folder, bundle, tmp_path
) -> None:
    port = free_port()
    with redis_server(tmp_path, port=port):
        settings = settings_of(store_folder, port, arena_max_bytes=10_000)
        with TestClient(create_app(settings)) as client:
            before = client.post("/score", json=SCORE).json()
            assert "redis_unavailable" not in before["degraded"]

            RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}"))._client.shutdown(nosave=True)

            after = client.post("/score", json=SCORE).json()
    expected = answers(Settings(store=store_folder))[0]
    assert "redis_unavailable" in after["degraded"]
    assert after["results"] == expected["results"]


@pytest.mark.slow
@pytest.mark.network
def test_what_redis_lacks_is_answered_from_the_local_generation_unless_it_was_deleted(
    store_folder, bundle_folder, bundle, tmp_path
) -> None:
    """An emptied Redis, then one that knows of a deletion; the deleted text is not encoded anew."""
    expected = answers(Settings(store=store_folder))[0]
    with redis_server(tmp_path) as port:
        tier = RedisTier(
            RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}")), shape_of(bundle)
        )
        with TestClient(
            create_app(settings_of(store_folder, port, arena_max_bytes=10_000))
        ) as client:
            emptied = client.post("/score", json=SCORE).json()
            tier.write([deletion(tier.shape, "B003", source_version=1)])
            deleted = client.post("/score", json={**SCORE, "on_missing": "encode"}).json()

    statuses = {result["id"]: result["status"] for result in deleted["results"]}
    assert emptied["results"] == expected["results"]
    assert "redis_incomplete" in emptied["degraded"]
    assert statuses["B003"] == "missing"
    others = [
        [result for result in answer["results"] if result["id"] != "B003"]
        for answer in (deleted, expected)
    ]
    assert others[0] == others[1]


def test_without_redis_at_start_the_generation_itself_is_served(store_folder, bundle) -> None:
    settings = settings_of(store_folder, free_port(), arena_max_bytes=1)
    store = StorePaths(store_folder)

    items = open_items(settings, store, read_current(store).generation, bundle)

    assert isinstance(items, GenerationReader)


def test_a_generation_that_fits_needs_no_redis(store_folder, bundle) -> None:
    settings = settings_of(store_folder, free_port())
    store = StorePaths(store_folder)

    items = open_items(settings, store, read_current(store).generation, bundle)

    assert isinstance(items, GenerationReader)


def test_a_follower_forgets_what_changed_and_everything_after_a_gap(
    tier: RedisTier, bundle_folder, bundle
) -> None:
    put(tier, codec_of(bundle_folder, bundle), CATALOGUE[:4], version=1)
    items = CachedItems(tier, capacity=10, generation_id="g")
    stream = ChangeStream(tier.door, "ellm:changes:followed")
    follower = Follower(stream, position=START)
    items.find(IDS[:3])
    stream.announce(["B001", "unknown"])

    assert follower.step(items, wait_ms=0) == 2
    assert set(items._slot_of) == {"B002", "B003"}

    stranger = Follower(stream, position="5-5")
    stranger.step(items, wait_ms=0)
    assert len(items) == 0


def test_a_password_in_the_url_is_not_shown() -> None:
    assert "hunter2" not in repr(Settings(store=".", redis_url="redis://:hunter2@host"))
