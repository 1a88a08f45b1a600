"""Asking the rerank routes of a service in this process."""

import msgspec
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.error_handlers import add_error_handlers
from service.fakes import StandingService
from service.rerank.wire import PairsReply, RankedText, RerankReply, TextsFault
from service.routes import explain, rerank, score
from service.wire import ErrorReply
from tests.service.conftest import CATALOGUE

QUERY = "red water bottle"

IDS = [item.item_id for item in CATALOGUE]

REPLIES = {
    "/v1/rerank": RerankReply,
    "/v2/rerank": RerankReply,
    "/rerank": list[RankedText],
    "/score": PairsReply,
    "/v1/score": PairsReply,
}


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


def rows(client, **body) -> list[dict]:
    return ask(client, "/v1/rerank", **body)["results"]


def refusal(client: TestClient, path: str, **body) -> tuple[int, str, str | None]:
    reply = client.post(path, json=body)
    if path == "/rerank":
        fault = msgspec.json.decode(reply.content, type=TextsFault)
        return reply.status_code, fault.code, fault.param
    error = msgspec.json.decode(reply.content, type=ErrorReply).error
    return reply.status_code, error.code, error.param
