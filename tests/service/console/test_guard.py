"""Who may use the console: a key of its own, or this machine's own browser on its own pages."""

import pytest

from service.api_keys import Scope, make_key, write_keys
from tests.service.console.make_console import console

INFO = "/console/api/info"
FAR = {"x-forwarded-for": "10.1.2.3"}


@pytest.fixture
def keys(tmp_path):
    made = {scope: make_key(scope.value, [scope]) for scope in Scope}
    write_keys(tmp_path / "keys.toml", [key.kept for key in made.values()])
    return tmp_path / "keys.toml", {scope: key.secret for scope, key in made.items()}


@pytest.mark.parametrize(
    ("scope", "status"),
    [(Scope.CONSOLE, 200), (Scope.ADMIN, 200), (Scope.SCORE, 403), (Scope.METRICS, 403)],
)
def test_the_console_has_keys_of_its_own(store_folder, keys, scope, status) -> None:
    file, secrets = keys
    with console(store_folder, api_keys=file) as client:
        answer = client.get(INFO, headers={**FAR, "x-api-key": secrets[scope]})

    assert answer.status_code == status


def test_a_console_key_opens_nothing_else(store_folder, keys) -> None:
    file, secrets = keys
    shown = {**FAR, "x-api-key": secrets[Scope.CONSOLE]}
    with console(store_folder, api_keys=file) as client:
        scored = client.post("/score", json={"query": "a", "item_ids": ["B001"]}, headers=shown)
        reloaded = client.post("/admin/reload", headers=shown)

    assert (scored.status_code, reloaded.status_code) == (403, 403)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"sec-fetch-site": "cross-site"}, "cross_site"),
        ({"sec-fetch-site": "same-site"}, "cross_site"),
        ({"origin": "http://evil.example"}, "cross_site"),
        ({"origin": "null"}, "cross_site"),
        ({"host": "evil.example"}, "foreign_host"),
        ({"host": "localhost.evil.example:80"}, "foreign_host"),
        ({"host": "evil.example", "origin": "http://evil.example"}, "foreign_host"),
    ],
)
def test_another_sites_page_gets_nothing_through_a_local_browser(client, headers, code) -> None:
    answers = [
        client.get(INFO, headers=headers),
        client.post(
            "/console/api/labels",
            json={"query": "oak", "item_id": "B003", "label": "Good"},
            headers=headers,
        ),
    ]

    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [(403, code)] * 2


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "127.0.0.53:1", "[::1]:8080"])
def test_the_consoles_own_pages_are_answered(client, host) -> None:
    own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}

    answer = client.get(INFO, headers=own)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_with_a_key_the_console_answers_under_any_name(store_folder, keys) -> None:
    file, secrets = keys
    shown = {**FAR, "x-api-key": secrets[Scope.CONSOLE], "host": "relevance.shop.example"}
    with console(store_folder, api_keys=file) as client:
        assert client.get(INFO, headers=shown).status_code == 200
