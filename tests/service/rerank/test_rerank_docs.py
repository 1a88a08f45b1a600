"""docs/rerank.md is executed, and says what the wire says."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from loadtest.agreement import REQUIREMENTS
from service.rerank.wire import (
    SIDES,
    PairsReply,
    RankedText,
    RerankReply,
    RerankRequest,
    TextPairs,
    TextsRequest,
)

PAGE = (Path(__file__).parents[3] / "docs" / "rerank.md").read_text(encoding="utf-8")
REQUESTS = re.findall(r"```json POST (\S+)\n(.*?)```", PAGE, re.DOTALL)
REPLIES = {"/v2/rerank": RerankReply, "/rerank": list[RankedText], "/score": PairsReply}


@pytest.mark.parametrize(("route", "body"), REQUESTS)
def test_every_request_of_the_page_is_answered_in_its_shape(client, route, body) -> None:
    reply = client.post(route, json=json.loads(body))

    assert reply.status_code == 200, reply.text
    msgspec.json.decode(reply.content, type=REPLIES[route])


@pytest.mark.parametrize(
    "words",
    [
        RerankRequest.__struct_fields__,
        TextsRequest.__struct_fields__,
        TextPairs.__struct_fields__,
        [word for pair in SIDES.values() for word in pair],
    ],
)
def test_the_page_speaks_of_every_field(words) -> None:
    for word in words:
        assert re.search(rf"\b{word}\b", PAGE), word


def test_the_page_names_every_public_package_that_is_tested() -> None:
    pinned = re.findall(r"^([a-z-]+)==", REQUIREMENTS.read_text(), re.MULTILINE)

    assert pinned
    for package in pinned:
        assert package in PAGE
