import asyncio
import inspect

import httpx
import msgspec
import pytest

from relevance.errors import BadInput
from service import client_methods
from service.app import limits_of
from service.async_client import AsyncRelevanceClient
from service.client import RelevanceClient
from service.client_plans import Rejected
from service.explain_commands import readable
from service.search_wire import SearchReply
from service.settings import Settings
from service.wire import Candidates, InlineItem
from tests.service.typed_clients import (
    IDS,
    INLINE,
    QUERY,
    columns,
    forwarded,
    make_client,
    scripted,
)


@pytest.fixture
def typed(client) -> RelevanceClient:
    return make_client(forwarded(client))


def test_the_client_scores_by_id_and_inline(typed) -> None:
    with typed:
        reply = typed.score(QUERY, ["B001", "B003"], items=[INLINE], top_n=2)

    assert {row.id for row in reply.results} == {"B001", "new"}
    assert reply.results[0].score == reply.results[1].score


def test_the_client_explains_the_same_pair_cached_or_sent_along(typed) -> None:
    inline = InlineItem(id="B001", title="Steel water bottle", brand="Acme", color="red")

    cached = typed.explain(QUERY, "B001")
    sent = typed.explain_inline(QUERY, inline)

    assert sent == msgspec.structs.replace(cached, status=sent.status)
    assert sent.status == "encoded"
    assert typed.health().generation == cached.generation


def test_a_refusal_is_bad_input_with_the_services_words(typed) -> None:
    with pytest.raises(BadInput, match="/score answered 422 empty_query: query: expected") as told:
        typed.score(" ", ["B001"])

    assert isinstance(told.value, Rejected)
    assert (told.value.status, told.value.code, told.value.param) == (422, "empty_query", "query")


def test_an_api_key_goes_along() -> None:
    answer, seen = scripted(columns())

    make_client(answer, api_key="secret").score("q", ["a"])

    assert seen[0].headers["authorization"] == "Bearer secret"


def test_the_asynchronous_client_says_the_same(client, typed) -> None:
    forward = forwarded(client, limits={"max_candidates": 3})

    async def asked() -> tuple[object, ...]:
        transport = httpx.MockTransport(forward)
        async with AsyncRelevanceClient("http://service", transport=transport) as twin:
            return (
                await twin.score(QUERY, IDS[:8], items=[INLINE]),
                await twin.score_batch([Candidates(query=QUERY, item_ids=IDS[:2])]),
                await twin.explain(QUERY, "B001"),
                await twin.explain_inline(QUERY, INLINE),
                await twin.search(QUERY),
                (await twin.rerank(QUERY, [*IDS[:5], {"id": IDS[0]}])).results,
                (await twin.health()).generation,
                (await twin.info()).limits.max_candidates,
            )

    assert asyncio.run(asked()) == (
        typed.score(QUERY, IDS[:8], items=[INLINE]),
        typed.score_batch([Candidates(query=QUERY, item_ids=IDS[:2])]),
        typed.explain(QUERY, "B001"),
        typed.explain_inline(QUERY, INLINE),
        typed.search(QUERY),
        typed.rerank(QUERY, [*IDS[:5], {"id": IDS[0]}]).results,
        typed.health().generation,
        3,
    )


def test_every_limit_is_told_to_clients(typed, store_folder) -> None:
    told = typed.info().limits

    limits = limits_of(Settings(store=store_folder))
    assert all(getattr(told, name) == getattr(limits, name) for name in limits.__slots__)


def test_an_explanation_reads_as_lines(typed) -> None:
    lines = readable(typed.explain("steel bottle", "B001"))

    assert lines[0] == "query  steel bottle"
    assert any("bottle ~ bottle (cosine" in line for line in lines)
    assert lines[-1] == "teacher  unavailable"
    assert readable(typed.explain("steel", "B005"))[-1] == "score  none: the item has no text"


def test_the_client_searches_the_whole_catalogue(typed) -> None:
    found = typed.search(QUERY, top_k=3)

    scored = typed.score(QUERY, IDS, top_n=3)
    assert [(row.id, row.score) for row in found.results] == [
        (row.id, row.score) for row in scored.results
    ]


def test_reranking_gives_the_scores_of_scoring(typed) -> None:
    documents = [{"id": "B003"}, {"id": "B001"}, "Steel water bottle red"]

    reply = typed.rerank(QUERY, documents)

    inline = InlineItem(id="x", text="Steel water bottle red")
    scored = typed.score(QUERY, ["B003", "B001"], items=[inline])
    assert [(row.index, row.relevance_score) for row in reply.results] == [
        (row.index, row.score) for row in scored.results
    ]


def test_both_clients_have_the_same_methods_with_the_same_signatures() -> None:
    def signatures(client: type) -> dict[str, inspect.Signature]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {
            name: inspect.signature(method)
            for name, method in methods
            if not name.startswith("_")
            and name not in ("close", "aclose", "run", "explain_stream")  # which is no plan
        }

    synchronous = signatures(RelevanceClient)

    assert synchronous == signatures(AsyncRelevanceClient)
    assert synchronous.keys() == {
        name
        for name, one in inspect.getmembers(client_methods, inspect.isfunction)
        if one.__module__ == client_methods.__name__ and name != "shown_as"
    }
    assert synchronous["search"].return_annotation is SearchReply
