from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from relevance.item_text import item_text
from relevance.late_interaction import mean_maxsim, sigmoid
from service.app import create_app
from service.encoder import OnnxTokenEncoder
from service.schemas import ScoreReply, ScoreRequest
from service.score import score_reply
from service.settings import Settings
from tests.service.conftest import CATALOGUE, UNHURRIED

QUERY = "red water bottle"
IDS = [item.item_id for item in CATALOGUE]
SENT_ALONG = [
    {"id": i.item_id, "title": i.title, "brand": i.brand, "color": i.color} for i in CATALOGUE
]


def score(client: TestClient, **body) -> dict:
    reply = client.post("/score", json={"query": QUERY, **body})
    assert reply.status_code == 200, reply.text
    assert ScoreReply.model_validate_json(reply.content)
    return reply.json()


def by_index(reply: dict) -> dict[int, dict]:
    return {row["index"]: row for row in reply["results"]}


@pytest.fixture(scope="module")
def alone(client) -> dict[str, dict]:
    return {i: score(client, item_ids=[i])["results"][0] for i in [*IDS, "unknown"]}


@UNHURRIED
@given(asked=st.lists(st.sampled_from([*IDS, "unknown"]), min_size=1, max_size=60))
def test_a_score_does_not_depend_on_the_other_candidates_or_on_the_cache(
    client, alone, asked
) -> None:
    inline = [SENT_ALONG[IDS.index(i)] for i in asked if i != "unknown"]

    rows = by_index(score(client, item_ids=asked, items=inline))

    for at, item_id in enumerate(asked):
        assert rows[at] == {**alone[item_id], "index": at}
    for at, item in enumerate(inline, start=len(asked)):
        cached = alone[item["id"]]
        assert rows[at]["score"] == cached["score"]
        assert rows[at]["truncated"] == cached["truncated"]
        assert rows[at]["status"] == ("no_text" if cached["score"] is None else "encoded")


@UNHURRIED
@given(asked=st.lists(st.sampled_from([*IDS, "unknown"]), min_size=1), top_n=st.integers(1, 9))
def test_results_run_from_best_to_worst_with_ties_in_order_and_nulls_last(
    client, asked, top_n
) -> None:
    rows = score(client, item_ids=asked)["results"]

    key = [(row["score"] is None, -(row["score"] or 0), row["index"]) for row in rows]
    assert key == sorted(key)
    assert sorted(row["index"] for row in rows) == list(range(len(asked)))
    assert [row["id"] for row in rows] == [asked[row["index"]] for row in rows]
    assert score(client, item_ids=asked, top_n=top_n)["results"] == rows[:top_n]


def test_scores_follow_the_float_definition_within_the_quantisation(
    client, bundle, bundle_folder
) -> None:
    encoder = OnnxTokenEncoder.read(bundle_folder, bundle)
    query = encoder.encode(QUERY, limit=bundle.max_query_tokens).vectors

    rows = by_index(score(client, item_ids=IDS))

    for at, item in enumerate(CATALOGUE):
        text = item_text(item, bundle.item_text)
        tokens = encoder.encode(text, limit=bundle.max_item_tokens).vectors
        if len(tokens):
            cosine = mean_maxsim(query, tokens, np.ones(len(tokens), bool))
            logit = bundle.logit_weight * cosine + bundle.logit_bias
            assert rows[at]["score"] == pytest.approx(float(sigmoid(np.array(logit))), abs=0.05)


def test_many_threads_at_once_change_no_bit(serving) -> None:
    requests = [ScoreRequest(query=f"red {item.title}", item_ids=IDS) for item in CATALOGUE[:40]]
    in_turn = [score_reply(serving, request) for request in requests]

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(partial(score_reply, serving), requests))

    assert at_once == in_turn


def test_a_restart_changes_no_bit(client, store_folder) -> None:
    with TestClient(create_app(Settings(store=store_folder))) as restarted:
        assert score(restarted, item_ids=IDS) == score(client, item_ids=IDS)


def test_statuses_say_what_happened_to_each_candidate(client, bundle) -> None:
    reply = score(client, item_ids=["B001", "B005", "unknown", "B004"], items=[{"id": "empty"}])

    rows = by_index(reply)
    assert [rows[at]["status"] for at in range(5)] == ["ok", "no_text", "missing", "ok", "no_text"]
    assert [rows[at]["score"] is None for at in range(5)] == [False, True, True, False, True]
    assert rows[1]["label"] is None
    assert rows[0]["label"] == ("Good" if rows[0]["score"] >= bundle.threshold else "Bad")
    assert rows[3]["truncated"]
    assert reply["bundle"] == bundle.bundle_id
    assert (reply["sequence"], reply["degraded"], reply["query_truncated"]) == (0, [], False)


def test_a_long_query_is_cut_and_says_so(client) -> None:
    reply = client.post("/score", json={"query": "red " * 9, "item_ids": ["B001"]}).json()

    assert reply["query_truncated"]


def test_a_query_is_normalised_before_it_is_scored(client) -> None:
    wide = client.post("/score", json={"query": " Ｒed\u200b  water bottle", "item_ids": IDS})

    assert wide.json() == score(client, item_ids=IDS)
