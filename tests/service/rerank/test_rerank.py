import json
import re

import msgspec
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.app import create_app
from service.deadline import Deadline
from service.error_handlers import add_error_handlers
from service.fakes import StandingService, TickingClock
from service.job import Job
from service.limits import Limits
from service.rerank.answers import rerank_reply, texts_reply
from service.rerank.documents import Reading, read_documents
from service.rerank.wire import (
    SIDES,
    PairsReply,
    RankedText,
    RerankFault,
    RerankReply,
    RerankRequest,
    TextsFault,
    TextsRequest,
)
from service.routes import explain, rerank, score
from service.settings import Settings
from service.wire import ErrorReply
from tests.service.conftest import CATALOGUE, FEW
from tests.service.make_app import openapi_of

QUERY = "red water bottle"
IDS = [item.item_id for item in CATALOGUE]
TITLES = [item.title for item in CATALOGUE if item.title]
REPLIES = {
    "/v1/rerank": RerankReply,
    "/v2/rerank": RerankReply,
    "/rerank": list[RankedText],
    "/score": PairsReply,
    "/v1/score": PairsReply,
}

documents = st.lists(
    st.one_of(
        st.sampled_from(TITLES),
        st.sampled_from([*IDS, "nobody"]).map(lambda item_id: {"id": item_id}),
        st.sampled_from(CATALOGUE[:9]).map(
            lambda item: {
                "id": item.item_id,
                "title": item.title,
                "brand": item.brand,
                "color": item.color,
                "shelf": 7,
            }
        ),
        st.just(""),
    ),
    min_size=1,
    max_size=30,
)


@pytest.fixture(scope="module")
def service(snapshot) -> StandingService:
    return StandingService(snapshot)


@pytest.fixture(scope="module")
def client(service) -> TestClient:
    return make_client(service)


def make_client(service: StandingService) -> TestClient:
    app = FastAPI()
    add_error_handlers(app)
    for route in (rerank, score, explain):
        app.include_router(route.router)
    app.state.open = service
    return TestClient(app, raise_server_exceptions=False)


def ask(client: TestClient, path: str, **body):
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    msgspec.json.decode(reply.content, type=REPLIES[path], strict=True)
    return reply.json()


def refusal(client: TestClient, path: str, **body) -> tuple[int, str, str | None]:
    reply = client.post(path, json=body)
    if path == "/rerank":
        fault = msgspec.json.decode(reply.content, type=TextsFault)
        return reply.status_code, fault.code, fault.param
    error = msgspec.json.decode(reply.content, type=ErrorReply).error
    return reply.status_code, error.code, error.param


def score_of_each(client: TestClient, asked: list) -> list[float | None]:
    """What `/score` gives each document, alone."""
    found = []
    for one in asked:
        if isinstance(one, str):
            body = {"items": [{"id": "x", "text": one}]}
        elif "title" in one:
            fields = {name: one[name] for name in ("title", "brand", "color")}
            body = {"items": [{"id": "x", **fields}]}
        else:
            body = {"item_ids": [one["id"]]}
        row = client.post("/score", json={"query": QUERY, **body}).json()["results"][0]
        found.append(row["score"])
    return found


def best_first(scores: list[float | None]) -> list[int]:
    return sorted(
        (at for at, found in enumerate(scores) if found is not None),
        key=lambda at: (-scores[at], at),
    )


@FEW
@given(asked=documents, top_n=st.none() | st.integers(0, 40), version=st.sampled_from("12"))
def test_documents_get_the_order_and_the_very_scores_of_the_score_route(
    client, asked, top_n, version
) -> None:
    """Whatever mixture of texts, the catalogue's items and items sent along they are."""
    alone = score_of_each(client, asked)

    reply = ask(client, f"/v{version}/rerank", query=QUERY, documents=asked, top_n=top_n)

    expected = best_first(alone)[: top_n or None]
    assert [row["index"] for row in reply["results"]] == expected
    assert [row["relevance_score"] for row in reply["results"]] == [alone[at] for at in expected]
    assert reply["meta"]["api_version"]["version"] == version
    assert reply["model"] == reply["bundle"]


@FEW
@given(asked=documents)
def test_texts_of_tei_get_the_same(client, asked) -> None:
    alone = score_of_each(client, asked)

    reply = ask(client, "/rerank", query=QUERY, texts=asked, truncate=True)

    expected = [{"index": at, "score": alone[at]} for at in best_first(alone)]
    assert reply == expected


@FEW
@given(asked=documents, names=st.sampled_from(list(SIDES.values())), path=st.booleans())
def test_pairs_of_vllm_get_the_same_in_the_order_of_the_request(client, asked, names, path) -> None:
    alone = score_of_each(client, asked)
    scored = [at for at, found in enumerate(alone) if found is not None]
    assume(scored)
    queries, others = names
    where = "/score" if path else "/v1/score"

    reply = ask(client, where, **{queries: QUERY, others: [asked[at] for at in scored]})

    assert [row["score"] for row in reply["data"]] == [alone[at] for at in scored]
    assert [row["index"] for row in reply["data"]] == list(range(len(scored)))


def test_pairs_may_each_have_a_query_of_their_own(client) -> None:
    queries = ["oak desk", "red water bottle", "oak desk", "steel lamp"]
    texts = ["Oak desk", {"id": "B001"}, {"id": "B003"}, "Lamp 7 steel oak red"]

    together = ask(client, "/score", text_1=queries, text_2=texts)["data"]

    for row, query, text in zip(together, queries, texts, strict=True):
        [alone] = ask(client, "/score", text_1=query, text_2=text)["data"]
        assert row["score"] == alone["score"]


def test_a_document_that_gets_no_score_is_left_out_and_named(client) -> None:
    asked = ["oak desk", {"id": "nobody"}, "", {"id": "B005"}]

    reply = ask(client, "/v2/rerank", query=QUERY, documents=asked)

    assert [row["index"] for row in reply["results"]] == [0]
    assert reply["meta"]["warnings"] == [
        "documents.1: no score: missing",
        "documents.2: no score: no_text",
        "documents.3: no score: no_text",
    ]


def test_a_pair_that_gets_no_score_refuses_the_request_as_clients_count_the_rows(client) -> None:
    asked = {"data_1": ["lamp", "desk", "lamp"], "data_2": ["steel lamp", "oak", {"id": "nobody"}]}

    assert refusal(client, "/score", **asked) == (422, "no_score", "data_2.2")


@pytest.mark.parametrize(
    ("path", "field"), [("/v2/rerank", "documents"), ("/rerank", "documents"), ("/rerank", "texts")]
)
def test_documents_come_back_as_they_were_sent_where_asked_for(client, path, field) -> None:
    asked = ["oak desk", {"id": "B001", "note": [1]}, {"text": "red shoe", "price": 3}]
    wanted = "return_text" if field == "texts" else "return_documents"

    reply = client.post(path, json={"query": QUERY, field: asked, wanted: True}).json()

    if field == "texts":
        assert {row["index"]: row.get("text") for row in reply} == {
            0: "oak desk",
            1: None,
            2: "red shoe",
        }
    else:
        shown = {row["index"]: row["document"] for row in reply["results"]}
        assert shown == {0: {"text": "oak desk"}, 1: asked[1], 2: asked[2]}


def test_the_fields_to_rank_by_are_read_in_the_order_asked_for(client) -> None:
    document = {"text": "blue shoe", "material": "steel", "kind": "water bottle"}
    plain = {"query": QUERY, "documents": ["steel water bottle", "blue shoe", "water bottle steel"]}
    scores = {row["index"]: row["relevance_score"] for row in rows(client, **plain)}

    def score_by(*fields: str) -> float:
        body = {"query": QUERY, "documents": [document], "rank_fields": list(fields)}
        return rows(client, **body)[0]["relevance_score"]

    assert score_by("material", "kind") == scores[0]
    assert score_by("kind", "material") == scores[2] != scores[0]
    assert score_by() == scores[1]


def rows(client, **body) -> list[dict]:
    return ask(client, "/v1/rerank", **body)["results"]


WORDS = ("red", "blue", "water", "bottle", "steel", "oak", "desk", "lamp", "shoe", "cotton")


@FEW
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12),
    most=st.integers(1, 9),
    side=st.sampled_from(["left", "right"]),
)
def test_fewer_tokens_than_the_bundle_reads_are_the_first_or_the_last_of_them(
    client, bundle, words, most, side
) -> None:
    kept = min(most, bundle.max_item_tokens)
    expected = words[-kept:] if side == "left" else words[:kept]

    cut = rows(
        client,
        query=QUERY,
        documents=[" ".join(words)],
        truncate_prompt_tokens=most,
        truncation_side=side,
    )

    whole = rows(client, query=QUERY, documents=[" ".join(expected)])
    assert cut[0]["relevance_score"] == whole[0]["relevance_score"]


def test_cohere_and_vllm_say_how_many_tokens_each_in_their_own_way(client) -> None:
    body = {"query": QUERY, "documents": ["blue cotton shoe red water bottle"]}

    by_cohere = rows(client, **body, max_tokens_per_doc=2)
    by_vllm = rows(client, **body, truncate_prompt_tokens=2)
    uncut = rows(client, **body, truncate_prompt_tokens=-1)

    assert by_cohere == by_vllm
    assert uncut == rows(client, **body, max_tokens_per_doc=4000)
    assert uncut != by_cohere


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/rerank", {"documents": ["lamp " * 40], "truncation": False}),
        ("/rerank", {"texts": ["lamp " * 40], "truncate": False}),
    ],
)
def test_a_text_that_may_not_be_cut_and_would_have_to_be_is_refused(client, path, body) -> None:
    field = "texts" if "texts" in body else "documents"

    assert refusal(client, path, query=QUERY, **body) == (422, "too_many_tokens", f"{field}.0")
    long_query = refusal(client, path, query="lamp " * 40, **{**body, field: ["lamp"]})
    assert long_query == (422, "too_many_tokens", "query")


def test_raw_scores_are_the_very_logits_that_an_explanation_adds_up_to(client) -> None:
    ids = ["B001", "B003", "lamp-7"]
    explained = [
        client.post("/explain", json={"query": QUERY, "item_id": one}).json()["logit"]
        for one in ids
    ]
    asked = [{"id": one} for one in ids]

    by_tei = ask(client, "/rerank", query=QUERY, texts=asked, raw_scores=True)
    by_vllm = ask(client, "/score", queries=QUERY, items=asked, use_activation=False)

    assert {row["index"]: row["score"] for row in by_tei} == dict(enumerate(explained))
    assert [row["score"] for row in by_vllm["data"]] == explained


def test_usage_counts_what_was_encoded_for_the_request_and_nothing_else(client) -> None:
    def tokens(*asked: object) -> int:
        return ask(client, "/v2/rerank", query=QUERY, documents=list(asked))["usage"][
            "total_tokens"
        ]

    assert tokens({"id": "B001"}) == 3
    assert tokens({"id": "B001"}, "oak desk") == 5
    assert tokens("oak desk", "oak desk") == 5  # the same text is encoded once


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "documents.1"),
        ({"id": 7}, "documents.1"),
        ({"image": "https://example.com"}, "documents.1"),
        ({"text": 3}, "documents.1"),
        ({"title": "Desk", "attributes": "oak"}, "documents.1"),
    ],
)
def test_a_document_with_neither_text_nor_id_is_refused_by_its_place(
    client, document, param
) -> None:
    body = {"query": QUERY, "documents": ["lamp", document]}

    assert refusal(client, "/v2/rerank", **body) == (422, "invalid_document", param)


def test_limits_are_those_of_scoring_but_for_documents_sent_as_text(snapshot) -> None:
    limits = Limits(max_candidates=5, max_inline_items=1, max_rerank_documents=2)
    client = make_client(StandingService(snapshot, limits))
    by_id = [{"id": one} for one in IDS[:3]]

    assert len(rows(client, query=QUERY, documents=["lamp", "desk", *by_id])) == 5
    for path, field in (("/v1/rerank", "documents"), ("/rerank", "texts"), ("/score", "text_2")):
        query = "text_1" if path == "/score" else "query"
        for asked, code in (
            ([], "no_candidates"),
            (["lamp"] * 3, "too_many_items"),
            (by_id * 2, "too_many_candidates"),
        ):
            assert refusal(client, path, **{query: QUERY, field: asked}) == (422, code, field)


def test_many_different_queries_at_once_are_refused(snapshot) -> None:
    client = make_client(StandingService(snapshot, Limits(max_batch_queries=2)))
    texts = ["oak", "oak", "oak"]

    assert ask(client, "/score", text_1=["a", "b", "a"], text_2=texts)
    found = refusal(client, "/score", text_1=["a", "b", "c"], text_2=texts)
    assert found == (422, "too_many_queries", "text_1")
    found = refusal(client, "/score", text_1=["a", "b"], text_2=texts)
    assert found == (422, "invalid_request", "text_1")


def test_another_generation_than_the_one_asked_for_is_a_conflict(client) -> None:
    for path, body in (
        ("/v1/rerank", {"query": QUERY, "documents": ["lamp"]}),
        ("/rerank", {"query": QUERY, "texts": ["lamp"]}),
        ("/score", {"queries": QUERY, "documents": ["lamp"]}),
    ):
        code = refusal(client, path, **body, generation="old")
        assert code == (409, "generation_not_loaded", "generation")


def test_what_had_no_time_is_left_out_and_what_was_in_time_keeps_its_score(snapshot) -> None:
    def late_job() -> Job:
        return Job(snapshot, deadline=Deadline.after(2500, since=0.0, clock=TickingClock()))

    asked = ["oak desk", "steel lamp", "red shoe"]
    reply = rerank_reply("2")(late_job(), RerankRequest(query=QUERY, documents=asked))
    texts = texts_reply(late_job(), TextsRequest(query=QUERY, texts=asked))

    in_time = {row.index: row.relevance_score for row in reply.results}
    assert 0 < len(in_time) < 3
    assert reply.meta.warnings == [
        f"documents.{at}: no score: deadline" for at in range(3) if at not in in_time
    ]
    assert {row.index: row.score for row in texts} == in_time


FIELDS_OF = {
    "/score": [("query", "item_ids"), *SIDES.values()],
    "/v1/score": list(SIDES.values()),
    "/rerank": [("query", "texts"), ("query", "documents")],
}


@pytest.mark.parametrize("path", FIELDS_OF)
def test_the_fields_of_two_apis_in_one_body_are_refused(client, path) -> None:
    for one in FIELDS_OF[path]:
        for other in FIELDS_OF[path]:
            names = dict.fromkeys((*one, *other))
            if len(names) == 2:
                continue
            body = {name: ["lamp"] if name.endswith("ids") else "lamp" for name in names}
            if path == "/rerank":
                body |= {"texts": ["lamp"], "documents": ["lamp"]}
            assert refusal(client, path, **body)[0] == 422, body


def test_which_shapes_there_are_is_told_where_none_fits(client) -> None:
    reply = client.post("/score", json={"text_1": "lamp", "documents": ["lamp"]})

    assert reply.status_code == 422
    assert "`query`; `documents`, `queries`;" in reply.json()["error"]["message"]


def test_a_mixture_is_a_mixture_in_messagepack_too(client) -> None:
    content = msgspec.msgpack.encode({"query": "a", "item_ids": ["B1"], "text_1": "", "text_2": ""})

    reply = client.post("/score", content=content, headers={"content-type": "application/msgpack"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "mixed_request")


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank", "/v1/score"])
def test_errors_have_the_shape_that_the_clients_of_a_path_read(client, path) -> None:
    reply = client.post(path, content=b"{", headers={"content-type": "application/json"})

    assert reply.status_code == 400
    said = reply.json()
    if path == "/rerank":
        fault = msgspec.convert(said, TextsFault)
        assert (fault.error, fault.error_type) == (fault.message, "Validation")
    elif path == "/v1/score":
        assert said.keys() == {"error"}
    else:
        fault = msgspec.convert(said, RerankFault)
        assert fault.message == fault.detail == fault.error.message


def test_before_the_service_is_open_each_path_says_so_in_its_shape() -> None:
    app = FastAPI()
    add_error_handlers(app)
    app.include_router(rerank.router)
    closed = TestClient(app, raise_server_exceptions=False)

    reply = closed.post("/rerank", json={"query": "a", "texts": ["b"]})

    assert reply.status_code == 503
    assert reply.json()["error_type"] == "Unhealthy"
    assert closed.post("/v2/rerank").json()["detail"] == "the service is not ready yet"


def test_fields_of_other_apis_without_a_use_here_change_nothing(client) -> None:
    body = {"query": QUERY, "documents": ["oak desk", "red bottle"]}
    idle = {"model": "rerank-v3.5", "user": "me", "priority": 3, "max_chunks_per_doc": 4}

    assert rows(client, **body, **idle) == rows(client, **body)
    assert refusal(client, "/v1/rerank", **body, chat_template="x")[:2] == (422, "invalid_request")


def test_a_request_keeps_the_id_its_client_gave_it(client) -> None:
    body = {"query": QUERY, "documents": ["lamp"]}

    assert ask(client, "/v1/rerank", **body, request_id="mine")["id"] == "mine"
    first, second = (ask(client, "/v1/rerank", **body)["id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("strange", [10**30, msgspec.msgpack.Ext(5, b"x"), {(1, 2): 3}, {None: 1}])
@pytest.mark.parametrize("accept", ["application/json", "application/msgpack"])
def test_what_the_other_encoding_cannot_hold_is_refused_and_no_fault(
    client, strange, accept
) -> None:
    """Objects come back as they were sent, so what is in them reaches the encoder."""
    body = {"query": QUERY, "documents": [{"text": "lamp", "note": strange}]}
    packed = {"content-type": "application/msgpack", "accept": accept}
    sent: dict = {"headers": packed}
    if strange == 10**30:
        headers = {"content-type": "application/json", "accept": accept}
        sent = {"content": json.dumps({**body, "return_documents": True}), "headers": headers}
    else:
        sent["content"] = msgspec.msgpack.encode({**body, "return_documents": True})

    reply = client.post("/v2/rerank", **sent)

    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "invalid_document"


@given(kinds=st.lists(st.booleans(), min_size=1, max_size=20))
def test_every_document_stands_where_its_candidate_does(snapshot, kinds) -> None:
    asked = [{"id": f"i{at}"} if is_id else f"t{at}" for at, is_id in enumerate(kinds)]

    read = read_documents(Job(snapshot), QUERY, asked, Reading(field="documents"))

    found = [*read.candidates.item_ids, *(item.text for item in read.candidates.items)]
    named = [one["id"] if isinstance(one, dict) else one for one in asked]
    assert [found[at] for at in read.places] == named
    assert np.array_equal(np.sort(read.places), np.arange(len(asked)))


def test_openapi_says_that_exactly_one_shape_fits() -> None:
    app = FastAPI()
    for route in (rerank, score):
        app.include_router(route.router)
    document = openapi_of(app)

    for path, count in (("/score", 5), ("/v1/score", 4), ("/rerank", 2)):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        shapes = content["schema"]["oneOf"]
        assert len(shapes) == count
        for shape in shapes:
            name = re.sub(r".*/", "", shape["$ref"])
            assert document["components"]["schemas"][name]["additionalProperties"] is False


def test_what_is_turned_away_before_any_route_has_a_paths_shape_too(store_folder) -> None:
    """A body too long, and a second request where one a minute is allowed."""
    settings = Settings(
        store=store_folder, log_requests="none", max_body_bytes=500, rate_limit="1/minute"
    )
    with TestClient(create_app(settings)) as guarded:
        long = [
            guarded.post(path, json={"query": "a", "documents": ["b" * 500]})
            for path in ("/rerank", "/v2/rerank")
        ]
        guarded.post("/rerank", json={"query": "oak", "texts": ["oak desk"]})
        often = guarded.post("/rerank", json={"query": "oak", "texts": ["oak desk"]})

    assert [reply.status_code for reply in (*long, often)] == [413, 413, 429]
    assert msgspec.convert(long[0].json(), TextsFault).code == "body_too_large"
    assert msgspec.convert(long[1].json(), RerankFault).error.code == "body_too_large"
    assert msgspec.convert(often.json(), TextsFault).error_type == "Overloaded"
    assert often.headers["retry-after"]
