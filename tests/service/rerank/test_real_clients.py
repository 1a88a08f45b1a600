"""Public clients from the package index, unmodified, against a live service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.client_agreement import Compared, PublicClients, Question, client_environment
from loadtest.public_clients import CLIENTS, TAKE_OBJECTS
from service.api_keys import Scope, make_key, write_keys
from tests.service.conftest import CATALOGUE
from tests.service.live_service import HOST, LiveService, live_service

pytestmark = [pytest.mark.slow, pytest.mark.network]

SOLD = [item for item in CATALOGUE[:30] if item.title]
QUERIES = ("red water bottle", "oak desk", "steel lamp 7")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return client_environment(tmp_path_factory.mktemp("clients") / "venv")


@pytest.fixture(scope="module")
def service(store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = tmp_path_factory.mktemp("service")
    with live_service(store_folder, folder / "log", workers=1) as opened:
        yield opened


def url_of(service: LiveService) -> str:
    return f"http://{HOST}:{service.port}"


def test_every_client_gets_the_order_and_the_scores_of_the_score_route(python, service) -> None:
    """Documents as texts, and for clients that take objects as items of the catalogue too."""
    ids, titles = (tuple(getattr(item, name) for item in SOLD) for name in ("item_id", "title"))
    asked = [Question(query, ids, titles) for query in QUERIES]

    found = list(Compared(PublicClients(python, url_of(service)), asked).agreements())

    assert len(found) == len(CLIENTS) + len(TAKE_OBJECTS) + 1
    assert [one for one in found if not one.is_whole] == []


def test_a_refusal_reaches_the_user_of_each_client_in_words(python, service) -> None:
    request = {"query": " ", "documents": ["oak desk"]}
    answers = PublicClients(python, url_of(service)).answers([request])

    assert answers.keys() == CLIENTS.keys()
    for name, answer in answers.items():
        if name == "llama-index tei":  # it never looks at the status and stumbles over the body
            assert "fault" in answer
        else:
            assert "expected at least one token" in answer["message"], (name, answer)


def test_a_wrong_api_key_is_told_as_such_and_the_right_one_lets_in(
    python, store_folder, tmp_path
) -> None:
    key = make_key("shop", [Scope.SCORE])
    write_keys(tmp_path / "keys.toml", [key.kept])
    request = {"query": "oak desk", "documents": ["oak desk", "red lamp"]}
    settings = {"api_keys": str(tmp_path / "keys.toml")}

    with live_service(store_folder, tmp_path / "log", workers=1, **settings) as guarded:
        url = url_of(guarded)
        refused = PublicClients(python, url, api_key="wrong").answers([request])
        let_in = PublicClients(python, url, api_key=key.secret).answers([request])

    assert refused["cohere v2"]["fault"] == "UnauthorizedError"
    assert all("fault" in answer for answer in refused.values())
    assert {tuple(map(tuple, rows)) for [rows] in let_in.values()} == {
        tuple(map(tuple, let_in["cohere v1"][0]))
    }
