"""Schemathesis over the whole OpenAPI document of the real application, well- and ill-formed."""

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from service.app import create_app
from service.rerank.wire import TextsFault
from service.settings import Settings
from service.wire import ErrorReply

pytestmark = pytest.mark.slow

# Which statuses an operation may answer with stands in the document: no 500 is among them, 503 only
# where something is not ready, 504 only where a strict deadline can be asked for.
CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("application/msgpack")
def pack(context: object, value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:  # an integer MessagePack cannot hold
        return str(value).encode()


@schemathesis.deserializer("application/msgpack")
def unpack(context: object, response: object) -> object:
    return msgspec.msgpack.decode(response.content)


@pytest.fixture(scope="module")
def client(store_folder):
    # The default client tells server faults as exceptions; a shop sees the 500.
    app = create_app(Settings(store=store_folder))
    with TestClient(app, raise_server_exceptions=False, client=("127.0.0.1", 50000)) as opened:
        yield opened


@pytest.fixture(scope="module")
def document(client) -> dict:
    return client.get("/openapi.json").json()


def send(client: TestClient, case: Case) -> None:
    request = case.as_transport_kwargs(base_url="http://testserver")
    content = request.pop("data", None)
    response = client.request(
        request["method"],
        request["url"],
        params=request.get("params"),
        headers=dict(request["headers"]),
        **({"json": request["json"]} if "json" in request else {"content": content}),
    )
    case.validate_response(response, checks=CHECKS)
    if response.status_code >= 400:
        assert code_of(request["url"], response.content)


def code_of(url: str, content: bytes) -> str:
    if url.endswith("/rerank") and "/v" not in url:  # TEI's clients read another shape
        return msgspec.json.decode(content, type=TextsFault).code
    return msgspec.json.decode(content, type=ErrorReply).error.code


def operations_of(document: dict) -> list[tuple[str, str]]:
    return [(path, method) for path, methods in document["paths"].items() for method in methods]


def test_every_operation_keeps_its_document(client, document) -> None:
    schema = schemathesis.openapi.from_dict(document)
    operations = operations_of(document)
    assert {("/score", "post"), ("/score/batch", "post"), ("/explain", "post")} <= set(operations)

    for path, method in operations:
        operation = schema[path][method]
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        cases = st.one_of(operation.as_strategy(generation_mode=mode) for mode in modes)

        @EXAMPLES
        @given(case=cases)
        def keeps_its_document(case: Case) -> None:
            send(client, case)

        keeps_its_document()
