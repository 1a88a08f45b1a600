"""Each test of the tier runs against a fake Redis in the fast suite, and against a real one."""

from collections.abc import Iterator, Sequence

import fakeredis
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from relevance.bundle import BundleManifest
from service.redis_tier.door import NodeMemory, RedisDoor
from service.redis_tier.tier import RedisTier, shape_of
from tests.service.redis_tier.redis_server import free_port, redis_server

REAL = pytest.param("real", marks=[pytest.mark.slow, pytest.mark.network])


@pytest.fixture(scope="session")
def real_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(params=["fake", REAL])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "fake":
        opened: redis.Redis = fakeredis.FakeStrictRedis(version=(7,))
    else:
        opened = redis.Redis(port=request.getfixturevalue("real_port"))
    opened.flushall()
    yield opened
    opened.close()


class DoorToFake(RedisDoor):
    """The fake has no MEMORY and no INFO: sizes are those of the values, room is ample."""

    def memory(self) -> list[NodeMemory]:
        return [NodeMemory(used=0, limit=1 << 30, system=1 << 30, policy="noeviction")]

    def bytes_of(self, keys: Sequence[bytes]) -> int:
        return sum(len(value or b"") for value in self.values(keys))


@pytest.fixture
def door(client: redis.Redis) -> RedisDoor:
    is_fake = isinstance(client, fakeredis.FakeStrictRedis)
    return DoorToFake(client) if is_fake else RedisDoor(client)


@pytest.fixture
def tier(door: RedisDoor, bundle: BundleManifest) -> RedisTier:
    return RedisTier(door, shape_of(bundle))


@pytest.fixture
def dead_tier(bundle: BundleManifest) -> RedisTier:
    nobody = redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
    return RedisTier(RedisDoor(nobody), shape_of(bundle))
