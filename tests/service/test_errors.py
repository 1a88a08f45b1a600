import json

import msgspec
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from service.app import create_app
from service.settings import Settings
from service.wire import ErrorReply
from tests.service.conftest import UNHURRIED

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("query", "item_ids", "items", "item_id", "item", "top_n", "id", "title", "attributes")
NEARLY_RIGHT = st.dictionaries(
    st.sampled_from(FIELDS),
    JSON | st.lists(st.text(max_size=4)) | st.dictionaries(st.sampled_from(FIELDS), JSON),
)


def code_of(reply) -> tuple[int, str]:
    return reply.status_code, msgspec.json.decode(reply.content, type=ErrorReply).error.code


@UNHURRIED
@given(body=JSON | NEARLY_RIGHT, route=st.sampled_from(["/score", "/explain"]))
def test_any_json_gets_an_answer_or_a_refusal_and_never_a_fault(client, body, route) -> None:
    reply = client.post(route, content=json.dumps(body))

    assert reply.status_code in (200, 400, 404, 422)
    if reply.status_code != 200:
        assert code_of(reply)[1]


@UNHURRIED
@given(query=st.text(max_size=600), route=st.sampled_from(["/score", "/explain"]))
def test_any_query_gets_an_answer_or_a_refusal(client, query, route) -> None:
    asked = {"item_ids": ["B001"]} if route == "/score" else {"item_id": "B001"}

    reply = client.post(route, json={"query": query, **asked})

    if reply.status_code != 200:
        assert code_of(reply) in ((422, "empty_query"), (422, "query_too_long"))


@UNHURRIED
@given(body=st.binary(max_size=40))
def test_any_bytes_get_a_refusal(client, body) -> None:
    assert code_of(client.post("/score", content=body))[0] in (400, 422)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": "red", "item_ids": []}, (422, "no_candidates")),
        ({"query": "", "item_ids": ["B001"]}, (422, "empty_query")),
        ({"query": "\u0301", "item_ids": ["B001"]}, (422, "empty_query")),
        ({"query": "r" * 513, "item_ids": ["B001"]}, (422, "query_too_long")),
        ({"query": "red", "item_ids": ["B001"] * 5001}, (422, "too_many_candidates")),
        ({"query": "red", "items": [{"id": "x", "title": "x"}] * 257}, (422, "too_many_items")),
        ({"query": "red", "item_ids": ["B001"], "top_n": 0}, (422, "invalid_request")),
        ({"query": "red", "itemids": ["B001"]}, (422, "invalid_request")),
        ({"item_ids": ["B001"]}, (422, "invalid_request")),
    ],
)
def test_a_wrong_score_request_is_refused_with_a_stable_code(client, body, expected) -> None:
    assert code_of(client.post("/score", json=body)) == expected


@pytest.mark.parametrize("body", [b"", b"{", b'{"query": "\\ud800"}', b"\xff"])
def test_malformed_json_is_400(client, body) -> None:
    assert code_of(client.post("/explain", content=body)) == (400, "invalid_json")


def test_the_field_at_fault_is_named(client) -> None:
    reply = client.post("/score", json={"query": "red", "items": [{"id": "a"}, {"id": 7}]})

    assert reply.json()["error"]["param"] == "items.1.id"


def two_megabytes():
    yield b'{"query": "'
    for _ in range(2000):
        yield b"r" * 1000
    yield b'"}'


@pytest.mark.parametrize("route", ["/score", "/explain"])
def test_a_two_megabyte_query_is_refused_with_and_without_a_declared_length(client, route) -> None:
    declared = client.post(route, content=b"".join(two_megabytes()))
    chunked = client.post(route, content=two_megabytes())

    assert code_of(declared) == (413, "body_too_large")
    assert code_of(chunked) == (413, "body_too_large")
    assert declared.headers["connection"] == chunked.headers["connection"] == "close"


def test_a_body_of_exactly_the_limit_is_read(store_folder) -> None:
    body = json.dumps({"query": "red", "item_ids": ["B001"]})
    with TestClient(create_app(Settings(store=store_folder, max_body_bytes=len(body)))) as client:
        assert client.post("/score", content=body).status_code == 200
        assert client.post("/score", content=body + " ").status_code == 413


def test_unknown_routes_and_methods_get_the_same_envelope(client) -> None:
    assert code_of(client.get("/nowhere")) == (404, "not_found")
    assert code_of(client.post("/score/")) == (404, "not_found")
    assert code_of(client.get("/score")) == (405, "method_not_allowed")
    assert client.get("/score").headers["allow"] == "POST"


def test_before_it_is_open_the_service_says_not_ready(store_folder) -> None:
    client = TestClient(create_app(Settings(store=store_folder)))  # no `with`: nothing is opened

    assert code_of(client.get("/health")) == (503, "not_ready")
    assert code_of(client.post("/score", json={"query": "a"})) == (503, "not_ready")
