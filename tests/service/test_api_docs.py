"""docs/api.md is executed: its requests are answered, and its client example runs."""

import json
import re
from pathlib import Path

import httpx
import msgspec
import pytest

from service.client import RelevanceClient
from service.explain_wire import ExplainReply, TeacherState
from service.openapi import MEANINGS
from service.wire import (
    BatchReply,
    ColumnsReply,
    OnMissing,
    ScoreReply,
    ScoreRequest,
    ScoreRow,
    Status,
)

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
REQUESTS = re.findall(r"```json POST (\S+)\n(.*?)```", PAGE, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
REPLIES = {
    "/score": (ScoreReply, ColumnsReply),
    "/score/batch": (BatchReply,),
    "/explain": (ExplainReply,),
}


@pytest.mark.parametrize(("route", "body"), REQUESTS)
def test_every_request_of_the_page_is_answered(client, route, body) -> None:
    reply = client.post(route, json=json.loads(body))

    assert reply.status_code == 200, reply.text
    assert any(fits(reply.content, schema) for schema in REPLIES[route])


def fits(content: bytes, schema: type) -> bool:
    try:
        return bool(msgspec.json.decode(content, type=schema))
    except msgspec.ValidationError:
        return False


def test_the_clients_example_runs(client) -> None:
    def forward(request: httpx.Request) -> httpx.Response:
        kept = {k: request.headers[k] for k in ("content-type", "accept")}
        path = request.url.path
        reply = client.request(request.method, path, content=request.content, headers=kept)
        headers = {"content-type": reply.headers["content-type"]}
        return httpx.Response(reply.status_code, content=reply.content, headers=headers)

    [example] = PYTHON
    opened = RelevanceClient("http://service", transport=httpx.MockTransport(forward))
    here = 'RelevanceClient("http://127.0.0.1:8080")'
    assert here in example
    names: dict[str, object] = {"opened": opened}

    exec(example.replace(here, "opened"), names)

    assert names["best"].id == names["why"].id
    assert names["best"].score == names["why"].score


@pytest.mark.parametrize(
    "words",
    [
        ScoreRequest.__struct_fields__,
        ScoreRow.__struct_fields__,
        list(Status),
        list(OnMissing),
        list(TeacherState),
        [str(status) for status in MEANINGS],
    ],
)
def test_the_page_speaks_of_every_field_status_and_state(words) -> None:
    for word in words:
        assert re.search(rf"\b{word}\b", PAGE), word
