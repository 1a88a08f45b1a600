import asyncio

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput, Unavailable
from service.async_client import AsyncRelevanceClient
from service.client_plans import Rejected
from service.client_retry import GRACE_S, Attempts, Failure, Patience
from tests.service.typed_clients import columns, error, make_client, scripted


class TestRetries:
    def test_what_failed_on_the_way_or_was_turned_away_is_asked_again(self) -> None:
        waits: list[float] = []
        answer, seen = scripted(
            httpx.ConnectError("refused"),
            error(429, "overloaded", **{"retry-after": "3"}),
            columns(),
        )

        reply = make_client(answer, sleep=waits.append).score("q", ["a"])

        assert [row.score for row in reply.results] == [0.5]
        assert len(seen) == 3
        assert 0 <= waits[0] <= 0.05
        assert waits[1] == 3.0

    @pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 500, 504])
    def test_what_will_not_change_is_not_asked_again(self, status) -> None:
        answer, seen = scripted(error(status, "some_code"))

        with pytest.raises((BadInput, Unavailable), match=f"/score answered {status} some_code"):
            make_client(answer).score("q", ["a"])

        assert len(seen) == 1

    def test_attempts_have_an_end(self) -> None:
        waits: list[float] = []
        answer, seen = scripted(*[error(503, "not_ready")] * 9)
        client = make_client(answer, sleep=waits.append, patience=Patience(attempts=3))

        with pytest.raises(Unavailable, match="answered 503 not_ready"):
            client.score("q", ["a"])

        assert (len(seen), len(waits)) == (3, 2)

    def test_a_deadline_goes_along_and_ends_the_attempts(self) -> None:
        now = [0.0]
        answer, seen = scripted(*[error(503, "not_ready")] * 9)

        def taking_time(request: httpx.Request) -> httpx.Response:
            now[0] += 0.2
            return answer(request)

        def sleep(seconds: float) -> None:
            now[0] += seconds

        client = make_client(taking_time, clock=lambda: now[0], sleep=sleep)

        with pytest.raises(Unavailable, match="503 not_ready"):
            client.score("q", ["a"], deadline_s=0.7)

        told = [msgspec.msgpack.decode(request.content)["deadline_ms"] for request in seen]
        assert len(told) in (2, 3)
        assert told[0] == pytest.approx(500)  # /info took the rest
        assert told == sorted(told, reverse=True)

    def test_a_deadline_that_has_passed_is_not_asked_for(self) -> None:
        times = iter([0.0, 0.1, 0.1, 1.0, 1.0])
        answer, seen = scripted(columns())

        with pytest.raises(Unavailable, match="no answer within 0.5 s"):
            make_client(answer, clock=lambda: next(times)).score("q", ["a"], deadline_s=0.5)

        assert seen == []

    @given(
        failures=st.integers(1, 6),
        drawn=st.floats(0, 1),
        retry_after=st.sampled_from([0.0, 2.0]),
        deadline=st.none() | st.floats(0.001, 10),
    )
    def test_a_wait_is_within_its_bounds(self, failures, drawn, retry_after, deadline) -> None:
        patience = Patience(attempts=7, first_wait_s=0.1, longest_wait_s=1.0)
        attempts = Attempts(patience, deadline, clock=lambda: 0.0, draw=lambda: drawn)
        failure = Failure("no", retry_after=retry_after)

        for failed in range(failures):
            expected = max(drawn * min(0.1 * 2**failed, 1.0), retry_after)
            if deadline is not None and expected >= deadline:
                with pytest.raises(Failure):
                    attempts.wait_after(failure)
                return
            assert attempts.wait_after(failure) == expected
        assert attempts.timeout() == (10.0 if deadline is None else deadline + GRACE_S)


def test_no_answer_or_a_strange_one_is_unavailable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    silent = make_client(refuse, sleep=lambda seconds: None)
    strange = make_client(lambda request: httpx.Response(502, text="nginx"))

    with pytest.raises(Unavailable, match="http://service/health: no answer: connection refused"):
        silent.health()
    with pytest.raises(Unavailable, match="expected a ErrorReply, got 502 b'nginx'"):
        strange.health()


def test_the_asynchronous_client_tries_again_and_gives_up_likewise() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def ask(*responses: httpx.Response | Exception) -> object:
        answer, _ = scripted(*responses)
        async with AsyncRelevanceClient(
            "http://service", transport=httpx.MockTransport(answer), sleep=sleep
        ) as twin:
            return await twin.score("q", ["a"])

    assert asyncio.run(ask(httpx.ReadTimeout("slow"), columns()))
    assert len(waits) == 1
    with pytest.raises(Rejected):
        asyncio.run(ask(error(422, "empty_query")))
