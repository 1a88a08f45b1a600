"""Items in FAISS: the arena's very bytes with `flat`, near them with `pq`, deltas as they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.errors import BadGeneration
from relevance.generation import StorePaths
from service.app import create_app
from service.candidates.index import build_candidates
from service.faiss_store.token_store import (
    TOKENS,
    FaissItems,
    TokenCodec,
    build_tokens,
    codec_error,
    open_tokens,
)
from service.settings import Settings
from service.store.delta_log import append_changes
from service.store.found import Found, find, stored_items
from service.store.segment import Changes
from tests.service.conftest import CATALOGUE
from tests.service.redis_tier.stores import codec_of, current_reader
from tests.service.redis_tier.test_tier import MANY_RUNS

IDS = [item.item_id for item in CATALOGUE]
WANTED = st.lists(st.sampled_from([*IDS[:10], "unknown", "new", "lamp-3"]), max_size=30)


@pytest.fixture
def store(store_folder: Path, tmp_path: Path) -> StorePaths:
    shutil.copytree(store_folder, tmp_path / "store")
    return StorePaths(tmp_path / "store")


def opened(store: StorePaths, codec: TokenCodec) -> FaissItems:
    build_tokens(store, current_reader(store.root), codec)
    return open_tokens(store, current_reader(store.root))


def rows_of(found: Found) -> np.ndarray:
    known = np.flatnonzero(found.is_known).tolist()
    return np.array([found.arenas[found.arena[at]][found.row[at]] for at in known])


@MANY_RUNS
@given(wanted=WANTED)
def test_flat_finds_the_bytes_of_the_arena_in_any_company(flat, wanted) -> None:
    found, expected = flat.find(wanted), find(flat.generation, wanted)

    assert np.array_equal(found.is_known, expected.is_known)
    assert np.array_equal(found.token_counts, expected.token_counts)
    assert np.array_equal(found.truncated, expected.truncated)
    assert np.array_equal(rows_of(found), rows_of(expected))


@pytest.fixture
def flat(store) -> FaissItems:
    return opened(store, TokenCodec.FLAT)


def test_a_delta_is_seen_after_the_next_look(flat, store, bundle_folder, bundle) -> None:
    codec, new = codec_of(bundle_folder, bundle), Item("new", "red oak desk")
    text = codec.text(new)
    changes = Changes.of([new], codec.encode([text]), [text], ["B001"])
    append_changes(store, changes, bundle_id=bundle.bundle_id)
    assert not flat.find(["new"]).is_known[0]

    newer = flat.latest()

    found = newer.find(["new", "B001", "B002"])
    assert found.is_known.tolist() == [True, False, True]
    assert np.array_equal(rows_of(found)[0], codec.encode([text]).embeddings[0])
    assert newer.sequence == 2
    assert stored_items(newer, ["new"]) == [new]
    assert newer.latest().sequence == 2


def test_pq_takes_a_quarter_of_the_bytes_and_errs_little(store, bundle) -> None:
    flat, pq = opened(store, TokenCodec.FLAT), opened(store, TokenCodec.PQ)

    exact, near = rows_of(flat.find(IDS[:4])), rows_of(pq.find(IDS[:4]))

    assert pq.tokens.sa_code_size() * 4 == flat.tokens.sa_code_size() == bundle.dim
    assert pq.codec is TokenCodec.PQ
    assert near.shape == exact.shape
    assert codec_error(flat, sample=100) < 1e-12
    assert 0 < codec_error(pq, sample=100) < 0.05


def test_an_item_without_text_has_no_tokens(flat) -> None:
    found = flat.find(["B005"])

    assert found.is_known[0]
    assert found.token_counts[0] == 0


def test_a_store_that_was_not_made_or_is_damaged_is_refused(store) -> None:
    with pytest.raises(BadGeneration, match=r"faiss/.*manifest.json: expected a manifest"):
        open_tokens(store, current_reader(store.root))
    folder = build_tokens(store, current_reader(store.root), TokenCodec.FLAT)
    content = bytearray((folder / TOKENS).read_bytes())
    content[-1] ^= 1
    (folder / TOKENS).write_bytes(bytes(content))

    with pytest.raises(BadGeneration, match=f"{TOKENS}: is not what the manifest seals"):
        open_tokens(store, current_reader(store.root))


def answers(root: Path, item_store: str) -> list[dict]:
    settings = Settings(store=root, item_store=item_store, search_exhaustive_items=0)
    with TestClient(create_app(settings)) as client:
        asked = [
            ("/score", {"query": "red lamp", "item_ids": [*IDS, "unknown", IDS[0]]}),
            ("/search", {"query": "red lamp", "top_k": 20, "depth": 50}),
            ("/explain", {"query": "red lamp", "item_id": "lamp-3"}),
        ]
        return [client.post(path, json=body).json() for path, body in asked]


def test_served_from_faiss_every_answer_is_the_same_as_from_the_arena(store) -> None:
    generation = current_reader(store.root)
    build_tokens(store, generation, TokenCodec.FLAT)
    build_candidates(store, generation)

    assert answers(store.root, "faiss") == answers(store.root, "arena")
