import asyncio
import inspect
import json
from collections.abc import Callable

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.errors import BadInput, Unavailable
from service import client_methods
from service.app import limits_of
from service.async_client import AsyncRelevanceClient
from service.client import RelevanceClient
from service.client_plans import Options, Rejected
from service.client_retry import GRACE_S, Attempts, Failure, Patience
from service.explain_commands import readable
from service.search_wire import SearchReply
from service.settings import Settings
from service.wire import Candidates, InlineItem
from service.wire_status import LimitsInfo
from tests.service.conftest import CATALOGUE, FEW

IDS = [item.item_id for item in CATALOGUE]
QUERY = "red water bottle"
INLINE = InlineItem(id="new", title="Steel water bottle", brand="Acme", color="red")
Answer = Callable[[httpx.Request], httpx.Response]


def forwarded(client, *, limits: dict[str, int] | None = None) -> Answer:
    """To the service under test; `/info` may tell narrower limits than it has."""

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {k: v for k, v in request.headers.items() if k in ("content-type", "accept")}
        reply = client.request(
            request.method, request.url.path, content=request.content, headers=headers
        )
        content = reply.content
        if limits is not None and request.url.path == "/info":
            info = reply.json()
            content = json.dumps({**info, "limits": {**info["limits"], **limits}}).encode()
        kept = {"content-type": reply.headers["content-type"]}
        return httpx.Response(reply.status_code, content=content, headers=kept)

    return answer


def make_client(answer: Answer, **options) -> RelevanceClient:
    return RelevanceClient("http://service", transport=httpx.MockTransport(answer), **options)


@pytest.fixture
def typed(client) -> RelevanceClient:
    return make_client(forwarded(client))


def error(status: int, code: str, **headers: str) -> httpx.Response:
    fault = {"message": "no", "type": "t", "code": code, "param": None}
    return httpx.Response(status, json={"error": fault}, headers=headers)


INFO = {
    "version": "1",
    "limits": dict.fromkeys(LimitsInfo.__struct_fields__, 1 << 20),
    "rate_limit": {"rates": "", "scope": "none", "workers": 1},
    "bundle": {
        "id": "b",
        "student": "colbert",
        "dim": 1,
        "max_query_tokens": 1,
        "max_item_tokens": 1,
        "item_text": "title",
        "threshold": 0.5,
        "calibration": "human",
    },
    "generation": "g",
    "sequence": 0,
    "items": 1,
    "versions": {},
}


def scripted(*responses: httpx.Response | Exception) -> tuple[Answer, list[httpx.Request]]:
    """`/info`, and for the rest one response after the other."""
    left, seen = iter(responses), []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/info":
            return httpx.Response(200, json=INFO)
        seen.append(request)
        response = next(left)
        if isinstance(response, Exception):
            raise response
        return response

    return answer, seen


def columns(generation: str = "g", scores: tuple[float, ...] = (0.5,)) -> httpx.Response:
    count = len(scores)
    return httpx.Response(
        200,
        json={
            "columns": {
                "id": [f"i{at}" for at in range(count)],
                "index": list(range(count)),
                "score": list(scores),
                "label": ["Good"] * count,
                "status": ["ok"] * count,
                "truncated": [False] * count,
            },
            "query_truncated": False,
            "bundle": "b",
            "generation": generation,
            "sequence": 0,
            "degraded": [],
        },
    )


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


@FEW
@given(
    asked=st.lists(st.sampled_from([*IDS, "unknown"]), max_size=30),
    inline=st.lists(st.just(INLINE), max_size=4),
    top_n=st.none() | st.integers(1, 40),
    limits=st.fixed_dictionaries(
        {
            "max_candidates": st.integers(1, 12),
            "max_inline_items": st.integers(1, 3),
            "max_body_bytes": st.integers(600, 2000),
        }
    ),
)
def test_a_request_split_by_the_limits_is_answered_as_if_it_were_whole(
    client, asked, inline, top_n, limits
) -> None:
    if not asked and not inline:
        return
    whole = make_client(forwarded(client)).score(QUERY, asked, items=inline, top_n=top_n)

    split = make_client(forwarded(client, limits=limits)).score(
        QUERY, asked, items=inline, top_n=top_n
    )

    assert split == whole


@FEW
@given(
    asked=st.lists(
        st.builds(
            Candidates,
            query=st.sampled_from([QUERY, "oak desk", " "]),
            item_ids=st.lists(st.sampled_from(IDS), min_size=1, max_size=9),
        ),
        min_size=1,
        max_size=6,
    ),
    limits=st.fixed_dictionaries(
        {"max_batch_queries": st.integers(1, 3), "max_batch_candidates": st.integers(9, 30)}
    ),
)
def test_a_batch_split_by_the_limits_is_answered_as_if_it_were_whole(client, asked, limits) -> None:
    whole = make_client(forwarded(client)).score_batch(asked)

    split = make_client(forwarded(client, limits=limits)).score_batch(asked)

    assert split == whole
    assert [answer.error is not None for answer in whole] == [one.query == " " for one in asked]


def test_one_query_of_a_batch_may_be_more_than_one_request_holds(client) -> None:
    asked = [Candidates(query=QUERY, item_ids=["B001"]), Candidates(query=QUERY, item_ids=IDS)]

    split = make_client(forwarded(client, limits={"max_candidates": 50})).score_batch(asked)

    assert split == make_client(forwarded(client)).score_batch(asked)


def test_pieces_come_from_one_generation_or_are_all_asked_anew() -> None:
    old, new, conflict = columns("old"), columns("new"), error(409, "generation_not_loaded")
    answer, seen = scripted(old, conflict, new, columns("new"))

    reply = make_client(answer).score_columns(
        Candidates(query="q", item_ids=["x" * 512] * 4000),
    )

    pins = [msgspec.msgpack.decode(request.content)["generation"] for request in seen]
    assert pins == [None, "old", None, "new"]
    assert reply.generation == "new"


def test_a_generation_that_changes_again_and_again_is_told() -> None:
    answer, seen = scripted(*[columns("old"), error(409, "generation_not_loaded")] * 3)

    with pytest.raises(Unavailable, match="the generation changed in each of 3 attempts"):
        make_client(answer).score_columns(Candidates(query="q", item_ids=["x" * 512] * 4000))

    assert len(seen) == 6


def test_a_pin_of_the_callers_own_is_not_given_up() -> None:
    answer, _ = scripted(error(409, "generation_not_loaded"))

    with pytest.raises(Rejected, match="/score answered 409 generation_not_loaded"):
        make_client(answer).score("q", ["a"], options=Options(generation="old"))


def test_a_refusal_is_bad_input_with_the_services_words(typed) -> None:
    with pytest.raises(BadInput, match="/score answered 422 empty_query: query: expected") as told:
        typed.score(" ", ["B001"])

    assert isinstance(told.value, Rejected)
    assert (told.value.status, told.value.code, told.value.param) == (422, "empty_query", "query")


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


DOCUMENTS = st.lists(
    st.one_of(
        st.sampled_from([item.title for item in CATALOGUE]),
        st.sampled_from([*IDS, "nobody"]).map(lambda item_id: {"id": item_id}),
    ),
    min_size=1,
    max_size=25,
)


@FEW
@given(
    documents=DOCUMENTS,
    top_n=st.none() | st.integers(1, 30),
    limits=st.fixed_dictionaries(
        {
            "max_candidates": st.integers(1, 12),
            "max_rerank_documents": st.integers(1, 4),
            "max_body_bytes": st.integers(700, 2000),
        }
    ),
)
def test_documents_split_by_the_limits_are_ranked_as_if_they_were_whole(
    client, documents, top_n, limits
) -> None:
    whole = make_client(forwarded(client)).rerank(QUERY, documents, top_n=top_n)

    split = make_client(forwarded(client, limits=limits)).rerank(QUERY, documents, top_n=top_n)

    assert split.results == whole.results
    assert split.meta.warnings == whole.meta.warnings
    assert split.generation == whole.generation


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
