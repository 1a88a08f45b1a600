"""What is refused, and in whose shape: limits, mixtures of two APIs, errors."""

import re

import msgspec
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.error_handlers import add_error_handlers
from service.fakes import StandingService
from service.limits import Limits
from service.rerank.wire import SIDES, RerankFault, TextsFault
from service.routes import rerank, score
from service.settings import Settings
from tests.service.make_app import openapi_of
from tests.service.rerank.asking import IDS, QUERY, ask, make_client, refusal, rows


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
