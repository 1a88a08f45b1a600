"""POST /search: the best of the catalogue, scored as by `/score`; deltas and deletions honoured."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from relevance.domain import Item
from relevance.generation import StorePaths
from service.app import create_app
from service.candidates.index import build_candidates
from service.item_codec import ItemCodec
from service.settings import Settings
from service.store.delta_log import append_changes
from service.store.segment import Changes
from tests.service.conftest import CATALOGUE
from tests.service.redis_tier.stores import codec_of, current_reader

QUERY = "red steel lamp"


@pytest.fixture
def root(store_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def codec(bundle_folder, bundle) -> ItemCodec:
    return codec_of(bundle_folder, bundle)


@contextmanager
def serving(root: Path, **settings) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=root, **settings))) as client:
        yield client


def search(client: TestClient, query: str = QUERY, **fields) -> dict:
    reply = client.post("/search", json={"query": query, **fields})
    assert reply.status_code == 200, reply.text
    return reply.json()


def scores_of_all(client: TestClient, query: str = QUERY) -> dict[str, float]:
    ids = [item.item_id for item in CATALOGUE]
    reply = client.post("/score", json={"query": query, "item_ids": ids}).json()
    return {row["id"]: row["score"] for row in reply["results"] if row["score"] is not None}


def change(root: Path, codec: ItemCodec, items: list[Item], removed: list[str]) -> None:
    texts = [codec.text(item) for item in items]
    changes = Changes.of(items, codec.encode(texts), texts, removed)
    append_changes(StorePaths(root), changes, bundle_id=current_reader(root).manifest.bundle_id)


def test_a_small_catalogue_is_ranked_whole_with_the_scores_of_score(root) -> None:
    with serving(root) as client:
        found = search(client, top_k=300)

        expected = scores_of_all(client)
    assert found["method"] == "exhaustive"
    assert {row["id"]: row["score"] for row in found["results"]} == expected
    ranked = [row["score"] for row in found["results"]]
    assert ranked == sorted(ranked, reverse=True)
    assert found["scored"] == found["catalogue"] == len(CATALOGUE) - 1  # one has no text


def test_equal_scores_keep_the_catalogues_order(root) -> None:
    with serving(root) as client:
        found = search(client, "oak desk", top_k=300)
    order = {item.item_id: at for at, item in enumerate(CATALOGUE)}
    for one, next_one in zip(found["results"], found["results"][1:], strict=False):
        if one["score"] == next_one["score"]:
            assert order[one["id"]] < order[next_one["id"]]


def test_candidates_of_the_index_get_the_same_scores(root) -> None:
    build_candidates(StorePaths(root), current_reader(root))
    with serving(root, search_exhaustive_items=0) as client:
        found = search(client, top_k=5, depth=60)

        expected = scores_of_all(client)
    assert (found["method"], found["scored"]) == ("candidates", 60)
    assert [expected[row["id"]] for row in found["results"]] == [
        row["score"] for row in found["results"]
    ]
    assert found["results"][0]["score"] == max(expected.values())
    assert found["degraded"] == []


def test_without_an_index_everything_is_scored_and_the_reply_says_so(root) -> None:
    with serving(root, search_exhaustive_items=0) as client:
        found = search(client, depth=10)

    assert found["method"] == "exhaustive"
    assert found["degraded"] == ["no_candidate_index"]


def test_an_item_that_a_delta_brought_is_found_and_one_it_removed_is_not(root, codec) -> None:
    build_candidates(StorePaths(root), current_reader(root))
    new = Item("new", "red steel lamp")
    with serving(root, search_exhaustive_items=0) as client:
        best = search(client, top_k=1, depth=40)["results"][0]["id"]

    change(root, codec, [new], [best])

    with serving(root, search_exhaustive_items=0) as client:
        found = search(client, top_k=300, depth=300)
        some = search(client, top_k=40, depth=40)
    ids = [row["id"] for row in found["results"]]
    assert "new" in ids
    assert best not in ids
    assert (some["method"], some["scored"]) == ("candidates", 41)
    assert "new" in {row["id"] for row in some["results"]}
    assert best not in {row["id"] for row in some["results"]}


def test_a_changed_item_is_scored_as_it_is_now(root, codec) -> None:
    build_candidates(StorePaths(root), current_reader(root))
    change(root, codec, [Item("lamp-7", "blue cotton shoe")], [])

    with serving(root, search_exhaustive_items=0) as client:
        found = search(client, "blue cotton shoe", top_k=300, depth=150)
        expected = scores_of_all(client, "blue cotton shoe")

    rows = {row["id"]: row["score"] for row in found["results"]}
    assert rows["lamp-7"] == expected["lamp-7"]
    assert len(rows) == len(found["results"])


def test_ids_are_those_of_the_rows_that_were_scored(root) -> None:
    with serving(root) as client:
        found = search(client, "water bottle", top_k=5)

    assert found["results"][0]["id"] in {"B001", "Ω-6"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"query": ""}, 422, "empty_query"),
        ({"query": "lamp", "top_k": 0}, 422, "invalid_request"),
        ({"query": "lamp", "depth": 10_001}, 422, "invalid_request"),
        ({"query": "lamp", "where": "colour"}, 422, "invalid_request"),
        ({"query": "lamp", "generation": "another"}, 409, "generation_not_loaded"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(client, body, status, code) -> None:
    reply = client.post("/search", json=body)

    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_a_search_whose_time_is_up_answers_with_what_it_has(root) -> None:
    with serving(root) as client:
        found = search(client, deadline_ms=0.0001)

    assert found["scored"] == 0
    assert found["results"] == []


def test_search_agrees_with_a_ranking_of_all_scores_at_any_depth_of_the_catalogue(root) -> None:
    build_candidates(StorePaths(root), current_reader(root))
    with serving(root, search_exhaustive_items=0) as client:
        expected = scores_of_all(client, "oak")
        for depth in (20, 100):
            found = search(client, "oak", top_k=3, depth=depth)

            best = np.sort(list(expected.values()))[::-1][:3]
            assert np.allclose([row["score"] for row in found["results"]], best)


def test_an_index_made_while_serving_is_used_after_a_reload(root) -> None:
    with serving(root, search_exhaustive_items=0) as client:
        before = search(client, depth=50)
        build_candidates(StorePaths(root), current_reader(root))

        client.portal.call(client.app.state.open.lifecycle.reload)

        after = search(client, depth=50)
    assert (before["method"], before["degraded"]) == ("exhaustive", ["no_candidate_index"])
    assert (after["method"], after["degraded"]) == ("candidates", [])
