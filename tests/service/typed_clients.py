"""Typed clients over a service in this process, or over answers a test makes up."""

import json
from collections.abc import Callable

import httpx

from service.client import RelevanceClient
from service.wire import InlineItem
from service.wire_status import LimitsInfo
from tests.service.conftest import CATALOGUE

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
