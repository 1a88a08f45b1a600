"""A console to ask without a browser: the real application over the tests' store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from service.app import create_app
from service.explanations import Explanations
from service.fakes import WordJudge
from service.settings import Settings

API = "/console/api"
LOCAL = ("127.0.0.1", 50000)


@contextmanager
def console(store: Path, *, teachers: bool = True, **settings: object) -> Iterator[TestClient]:
    app = create_app(
        Settings.model_validate({"store": store, "log_requests": "none", **settings}),
        explanations=lambda _: Explanations([WordJudge()] if teachers else []),
    )
    with TestClient(app, base_url="http://localhost", client=LOCAL) as opened:
        yield opened


def ask(client: TestClient, path: str, **body: object) -> dict:
    answer = client.post(f"{API}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()
