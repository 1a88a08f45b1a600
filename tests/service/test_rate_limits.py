import asyncio
import socket

import pytest

from relevance.errors import BadInput
from service.rate_limits import SHARED_DOWN, RateLimits, Scope
from tests.service.redis_tier.redis_server import redis_server


def test_each_client_has_its_own_allowance_and_hears_how_long_to_wait() -> None:
    async def scenario() -> None:
        limits = RateLimits("2/minute")

        assert [await limits.wait_for("a") for _ in range(3)][:2] == [0, 0]
        assert 1 <= await limits.wait_for("a") <= 60
        assert await limits.wait_for("b") == 0
        assert limits.scope is Scope.WORKER
        assert limits.degraded == ()

    asyncio.run(scenario())


def test_the_strictest_of_several_rates_decides() -> None:
    async def scenario() -> None:
        limits = RateLimits("100/second; 3/hour")

        assert [await limits.wait_for("a") > 0 for _ in range(5)] == [False] * 3 + [True] * 2

    asyncio.run(scenario())


def test_without_rates_nobody_waits() -> None:
    async def scenario() -> None:
        limits = RateLimits("")

        assert [await limits.wait_for("a") for _ in range(50)] == [0] * 50
        assert limits.scope is Scope.NONE

    asyncio.run(scenario())


def test_without_its_shared_counter_each_worker_counts_for_itself_and_says_so() -> None:
    async def scenario() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
            limits = RateLimits("1/minute", store=f"redis://127.0.0.1:{closed.getsockname()[1]}")
            assert limits.scope is Scope.SHARED

            assert await limits.wait_for("a") == 0
            assert await limits.wait_for("a") >= 1
            assert limits.scope is Scope.WORKER
            assert limits.degraded == (SHARED_DOWN,)
            await limits.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("store", ["nonsense", "memory://", "http://:hunter2@cache"])
def test_a_store_that_is_not_redis_is_refused_without_telling_its_secrets(store) -> None:
    with pytest.raises(BadInput, match="rate_limit_store: expected a redis:// URL") as refused:
        RateLimits("1/second", store=store)

    assert "hunter2" not in str(refused.value)


@pytest.mark.network
def test_through_redis_all_workers_count_together(tmp_path) -> None:
    async def scenario(port: int) -> None:
        store = f"redis://127.0.0.1:{port}"
        one, other = (RateLimits("4/minute", store=store, patience=60) for _ in range(2))

        waits = [await limits.wait_for("a") for limits in (one, other) * 3]

        assert [wait > 0 for wait in waits] == [False] * 4 + [True] * 2
        assert (one.scope, one.degraded) == (Scope.SHARED, ())
        await one.close()
        await other.close()

    with redis_server(tmp_path) as port:
        asyncio.run(scenario(port))
