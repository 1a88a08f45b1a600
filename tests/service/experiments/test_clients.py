"""The typed clients put a request into a variant by its key, whatever they ask."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.async_client import AsyncRelevanceClient
from service.client import RelevanceClient
from service.client_plans import Options
from service.wire import Candidates, InlineItem
from tests.service.experiments.conftest import KEYS, plan_text, serving
from tests.service.typed_clients import IDS, INLINE, QUERY, forwarded

Ask = Callable[[RelevanceClient | AsyncRelevanceClient, str], object]
ASKED: dict[str, Ask] = {
    "score": lambda client, key: client.score(
        QUERY, ["B001"], items=[INLINE], options=Options(experiment_key=key)
    ),
    "score in pieces": lambda client, key: client.score(
        QUERY, IDS[:8], options=Options(experiment_key=key)
    ),
    "score columns": lambda client, key: client.score_columns(
        Candidates(query=QUERY, item_ids=["B001"]), options=Options(experiment_key=key)
    ),
    "search": lambda client, key: client.search(QUERY, experiment_key=key),
    "rerank": lambda client, key: client.rerank(QUERY, [{"id": "B001"}], experiment_key=key),
    "rerank in pieces": lambda client, key: client.rerank(
        QUERY, [{"id": one} for one in IDS[:8]], experiment_key=key
    ),
    "explain": lambda client, key: client.explain(QUERY, "B001", experiment_key=key),
    "explain inline": lambda client, key: client.explain_inline(QUERY, INLINE, experiment_key=key),
}


@pytest.fixture(scope="module")
def service(store_folder, candidate_store, tmp_path_factory) -> Iterator:
    plan = tmp_path_factory.mktemp("plan") / "experiments.toml"
    plan.write_text(plan_text(candidate_store))
    with serving(store_folder, plan) as client:
        yield client


@pytest.fixture(scope="module")
def answer(service):
    return forwarded(service, limits={"max_candidates": 5})


@pytest.fixture(scope="module")
def typed(answer) -> RelevanceClient:
    return RelevanceClient("http://service", transport=httpx.MockTransport(answer))


@pytest.fixture(scope="module")
def arms(service) -> dict[str, str]:
    """A key of each variant."""
    body = {"query": QUERY, "item_ids": ["B001"]}
    asked = {key: service.post("/score", json={**body, "experiment_key": key}) for key in KEYS}
    return {reply.json()["variant"]["variant"]: key for key, reply in asked.items()}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_each_method_is_answered_by_the_variant_of_its_key(typed, arms, ask) -> None:
    assert arms.keys() == {"control", "candidate"}

    replies = {name: ask(typed, key) for name, key in arms.items()}

    for name, reply in replies.items():
        assert (reply.variant.variant, reply.variant.answered_by) == (name, name)
    assert replies["control"].bundle != replies["candidate"].bundle


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_the_asynchronous_client_asks_the_same(answer, typed, arms, ask) -> None:
    async def asked(key: str) -> object:
        transport = httpx.MockTransport(answer)
        async with AsyncRelevanceClient("http://service", transport=transport) as twin:
            return await ask(twin, key)

    for key in arms.values():
        reply, twins = ask(typed, key), asyncio.run(asked(key))
        assert (twins.variant, twins.bundle) == (reply.variant, reply.bundle)


def test_a_batch_is_answered_by_the_variant_of_its_key(typed, arms) -> None:
    asked = [Candidates(query=QUERY, item_ids=IDS[:3])]
    scores = {}
    for name, key in arms.items():
        [answer] = typed.score_batch(asked, options=Options(experiment_key=key))
        alone = typed.score_columns(asked[0], options=Options(experiment_key=key))
        assert answer.columns == alone.columns
        scores[name] = answer.columns.score

    assert scores["control"] != scores["candidate"]


def test_a_streamed_explanation_too(answer, typed, arms) -> None:
    async def streamed(key: str) -> list:
        transport = httpx.MockTransport(answer)
        async with AsyncRelevanceClient("http://service", transport=transport) as twin:
            events = twin.explain_stream(QUERY, "B001", experiment_key=key)
            return [event async for event in events]

    for name, key in arms.items():
        events = list(typed.explain_stream(QUERY, "B001", experiment_key=key))
        assert {event.variant.variant for event in events} == {name}
        assert asyncio.run(streamed(key))[-1].variant == events[-1].variant


@pytest.mark.parametrize("key", ["k" * 512, "ключ " * 100])
def test_a_long_key_does_not_make_a_piece_longer_than_a_body_may_be(service, key) -> None:
    """The whole body, key and all, stays within the limit the service tells."""
    longest = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal longest
        longest = max(longest, len(request.content))
        return forwarded(service, limits={"max_body_bytes": 4000})(request)

    with RelevanceClient("http://service", transport=httpx.MockTransport(answer)) as client:
        options = Options(experiment_key=key)
        items = [InlineItem(id=f"{at}", title="steel bottle " * 20) for at in range(40)]
        reply = client.score(QUERY, items=items, options=options)
        answers = client.score_batch(
            [Candidates(query=QUERY, items=[one]) for one in items], options=options
        )

    assert len(reply.results) == len(answers) == 40
    assert longest <= 4000
