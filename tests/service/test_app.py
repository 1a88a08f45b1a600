import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from relevance.bundle import TOKENIZER
from relevance.errors import BadBundle, BadGeneration
from relevance.generation import Current, StorePaths, read_current, switch_current
from service.app import create_app
from service.fakes import WordEncoder, WordJudge, items_in_memory
from service.item_codec import ItemCodec
from service.schemas import EXAMPLES, ExplainReply, HealthReply, ScoreReply
from service.scorer import NumpyScorer
from service.serving import Serving
from service.settings import Settings
from tests.service.conftest import CATALOGUE
from tests.service.make_bundle import make_bundle

REPLIES = {"/score": ScoreReply, "/explain": ExplainReply}


@pytest.mark.parametrize(
    ("route", "name"), [(route, name) for route in EXAMPLES for name in EXAMPLES[route]]
)
def test_every_example_in_the_documentation_works(client, route, name) -> None:
    body = client.get("/openapi.json").json()["paths"][route]["post"]["requestBody"]
    example = body["content"]["application/json"]["examples"][name]["value"]

    reply = client.post(route, json=example)

    assert reply.status_code == 200, reply.text
    assert REPLIES[route].model_validate_json(reply.content)


def test_every_schema_the_documentation_refers_to_is_in_it(client) -> None:
    text = client.get("/openapi.json").text
    known = client.get("/openapi.json").json()["components"]["schemas"]

    for piece in text.split('"#/components/schemas/')[1:]:
        assert piece.split('"')[0] in known


def test_health_says_what_is_being_served(client, store_folder) -> None:
    current = read_current(StorePaths(store_folder))

    health = HealthReply.model_validate_json(client.get("/health").content)

    assert (health.generation, health.bundle) == (current.generation, current.bundle)
    assert health.items == len(CATALOGUE)
    assert health.degraded == []


def test_the_service_runs_on_fakes_alone(bundle) -> None:
    @contextmanager
    def opened(settings: Settings) -> Iterator[Serving]:
        encoder = WordEncoder(bundle.dim)
        items = items_in_memory(CATALOGUE, ItemCodec(encoder, bundle))
        scorer = NumpyScorer(bundle)
        yield Serving(settings, bundle, encoder, scorer, items, WordJudge(), ("numpy_scorer",))

    with TestClient(create_app(Settings(store="nowhere"), opened=opened)) as client:
        reply = client.post("/score", json={"query": "oak desk", "item_ids": ["B001", "B003"]})
        explained = client.post("/explain", json={"query": "oak desk", "item_id": "B003"})

    assert reply.json()["results"][0]["id"] == "B003"
    assert reply.json()["degraded"] == ["numpy_scorer"]
    assert explained.json()["teacher"]["label"] == "Good"


def test_a_bundle_with_a_changed_byte_is_not_served(store_folder, tmp_path) -> None:
    shutil.copytree(store_folder, tmp_path, dirs_exist_ok=True)
    paths = StorePaths(tmp_path)
    with (paths.bundle(read_current(paths).bundle) / TOKENIZER).open("a") as file:
        file.write(" ")

    with (
        pytest.raises(BadBundle, match=TOKENIZER),
        TestClient(create_app(Settings(store=tmp_path))),
    ):
        pass


def test_a_generation_of_another_bundle_is_not_served(store_folder, tmp_path) -> None:
    shutil.copytree(store_folder, tmp_path, dirs_exist_ok=True)
    paths = StorePaths(tmp_path)
    other = make_bundle(tmp_path / "other", seed=1)
    shutil.copytree(tmp_path / "other", paths.bundle(other.bundle_id))
    switch_current(
        paths, Current(generation=read_current(paths).generation, bundle=other.bundle_id)
    )

    with (
        pytest.raises(BadGeneration, match=f"made by bundle {other.bundle_id}, got one made by"),
        TestClient(create_app(Settings(store=tmp_path))),
    ):
        pass
