"""How documents are read, cut and sent back."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.job import Job
from service.rerank.documents import Reading, read_documents
from tests.service.conftest import FEW
from tests.service.rerank.asking import QUERY, refusal, rows


@pytest.mark.parametrize(
    ("path", "field"), [("/v2/rerank", "documents"), ("/rerank", "documents"), ("/rerank", "texts")]
)
def test_documents_come_back_as_they_were_sent_where_asked_for(client, path, field) -> None:
    asked = ["oak desk", {"id": "B001", "note": [1]}, {"text": "red shoe", "price": 3}]
    wanted = "return_text" if field == "texts" else "return_documents"

    reply = client.post(path, json={"query": QUERY, field: asked, wanted: True}).json()

    if field == "texts":
        assert {row["index"]: row.get("text") for row in reply} == {
            0: "oak desk",
            1: None,
            2: "red shoe",
        }
    else:
        shown = {row["index"]: row["document"] for row in reply["results"]}
        assert shown == {0: {"text": "oak desk"}, 1: asked[1], 2: asked[2]}


def test_the_fields_to_rank_by_are_read_in_the_order_asked_for(client) -> None:
    document = {"text": "blue shoe", "material": "steel", "kind": "water bottle"}
    plain = {"query": QUERY, "documents": ["steel water bottle", "blue shoe", "water bottle steel"]}
    scores = {row["index"]: row["relevance_score"] for row in rows(client, **plain)}

    def score_by(*fields: str) -> float:
        body = {"query": QUERY, "documents": [document], "rank_fields": list(fields)}
        return rows(client, **body)[0]["relevance_score"]

    assert score_by("material", "kind") == scores[0]
    assert score_by("kind", "material") == scores[2] != scores[0]
    assert score_by() == scores[1]


WORDS = ("red", "blue", "water", "bottle", "steel", "oak", "desk", "lamp", "shoe", "cotton")


@FEW
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12),
    most=st.integers(1, 9),
    side=st.sampled_from(["left", "right"]),
)
def test_fewer_tokens_than_the_bundle_reads_are_the_first_or_the_last_of_them(
    client, bundle, words, most, side
) -> None:
    kept = min(most, bundle.max_item_tokens)
    expected = words[-kept:] if side == "left" else words[:kept]

    cut = rows(
        client,
        query=QUERY,
        documents=[" ".join(words)],
        truncate_prompt_tokens=most,
        truncation_side=side,
    )

    whole = rows(client, query=QUERY, documents=[" ".join(expected)])
    assert cut[0]["relevance_score"] == whole[0]["relevance_score"]


def test_cohere_and_vllm_say_how_many_tokens_each_in_their_own_way(client) -> None:
    body = {"query": QUERY, "documents": ["blue cotton shoe red water bottle"]}

    by_cohere = rows(client, **body, max_tokens_per_doc=2)
    by_vllm = rows(client, **body, truncate_prompt_tokens=2)
    uncut = rows(client, **body, truncate_prompt_tokens=-1)

    assert by_cohere == by_vllm
    assert uncut == rows(client, **body, max_tokens_per_doc=4000)
    assert uncut != by_cohere


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/rerank", {"documents": ["lamp " * 40], "truncation": False}),
        ("/rerank", {"texts": ["lamp " * 40], "truncate": False}),
    ],
)
def test_a_text_that_may_not_be_cut_and_would_have_to_be_is_refused(client, path, body) -> None:
    field = "texts" if "texts" in body else "documents"

    assert refusal(client, path, query=QUERY, **body) == (422, "too_many_tokens", f"{field}.0")
    long_query = refusal(client, path, query="lamp " * 40, **{**body, field: ["lamp"]})
    assert long_query == (422, "too_many_tokens", "query")


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "documents.1"),
        ({"id": 7}, "documents.1"),
        ({"image": "https://example.com"}, "documents.1"),
        ({"text": 3}, "documents.1"),
        ({"title": "Desk", "attributes": "oak"}, "documents.1"),
    ],
)
def test_a_document_with_neither_text_nor_id_is_refused_by_its_place(
    client, document, param
) -> None:
    body = {"query": QUERY, "documents": ["lamp", document]}

    assert refusal(client, "/v2/rerank", **body) == (422, "invalid_document", param)


@pytest.mark.parametrize("strange", [10**30, msgspec.msgpack.Ext(5, b"x"), {(1, 2): 3}, {None: 1}])
@pytest.mark.parametrize("accept", ["application/json", "application/msgpack"])
def test_what_the_other_encoding_cannot_hold_is_refused_and_no_fault(
    client, strange, accept
) -> None:
    """Objects come back as they were sent, so what is in them reaches the encoder."""
    body = {"query": QUERY, "documents": [{"text": "lamp", "note": strange}]}
    packed = {"content-type": "application/msgpack", "accept": accept}
    sent: dict = {"headers": packed}
    if strange == 10**30:
        headers = {"content-type": "application/json", "accept": accept}
        sent = {"content": json.dumps({**body, "return_documents": True}), "headers": headers}
    else:
        sent["content"] = msgspec.msgpack.encode({**body, "return_documents": True})

    reply = client.post("/v2/rerank", **sent)

    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "invalid_document"


@given(kinds=st.lists(st.booleans(), min_size=1, max_size=20))
def test_every_document_stands_where_its_candidate_does(snapshot, kinds) -> None:
    asked = [{"id": f"i{at}"} if is_id else f"t{at}" for at, is_id in enumerate(kinds)]

    read = read_documents(Job(snapshot), QUERY, asked, Reading(field="documents"))

    found = [*read.candidates.item_ids, *(item.text for item in read.candidates.items)]
    named = [one["id"] if isinstance(one, dict) else one for one in asked]
    assert [found[at] for at in read.places] == named
    assert np.array_equal(np.sort(read.places), np.arange(len(asked)))
