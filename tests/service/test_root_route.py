"""`GET /`: a browser is sent to the console, anybody else is told where to look."""

from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient

from service.access import scope_of
from service.api_keys import Scope, make_key, write_keys
from service.app import create_app
from service.settings import Settings
from service.wire_status import RootReply

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FAR = ("10.1.2.3", 50000)


def app(store: Path, **settings: object) -> TestClient:
    made = create_app(Settings(store=store, log_requests="none", **settings))
    return TestClient(made, client=FAR, follow_redirects=False)


def test_a_browser_is_sent_to_the_console(store_folder) -> None:
    with app(store_folder) as client:
        sent = client.get("/", headers=BROWSER)
        found = client.get("/", headers=BROWSER, follow_redirects=True)

    assert (sent.status_code, sent.headers["location"]) == (307, "console/")
    assert sent.headers["vary"] == "accept"
    assert found.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_without_the_console_everybody_reads_which_paths_tell_more(store_folder, headers) -> None:
    with app(store_folder, console=False) as client:
        told = client.get("/", headers=headers)

    assert told.status_code == 200
    assert msgspec.json.decode(told.content, type=RootReply, strict=True).console is None


def test_every_path_that_is_named_is_there(store_folder) -> None:
    made = create_app(Settings(store=store_folder, log_requests="none"))
    with TestClient(made, client=("127.0.0.1", 50000)) as client:
        named = client.get("/").json()

        assert {client.get(path).status_code for path in named.values()} == {200}
    assert set(named) == {"console", "docs", "info", "openapi", "ready"}


def test_where_keys_are_asked_for_the_root_still_answers_and_nothing_else_opens(
    store_folder, tmp_path
) -> None:
    write_keys(tmp_path / "keys.toml", [make_key("shop", [Scope.SCORE]).kept])
    with app(store_folder, api_keys=tmp_path / "keys.toml") as client:
        assert client.get("/", headers=BROWSER).status_code == 307
        assert client.get("/").status_code == 200
        assert client.post("/", content=b"{}").status_code == 405
        for path in ("/info", "/docs", "/nothing"):
            assert client.get(path).status_code == 401, path
    assert scope_of("//") is Scope.SCORE


def test_the_documentation_shows_both_answers(client) -> None:
    responses = client.get("/openapi.json").json()["paths"]["/"]["get"]["responses"]

    assert set(responses) == {"200", "307"}
    content = responses["200"]["content"]["application/json"]
    assert content["schema"]["$ref"].endswith("/RootReply")
