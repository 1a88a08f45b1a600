from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.deadline import Deadline
from service.fakes import TickingClock
from service.job import Job
from service.rerank.answers import rerank_reply, texts_reply
from service.rerank.wire import SIDES, RerankRequest, TextsRequest
from tests.service.conftest import CATALOGUE, FEW
from tests.service.rerank.asking import IDS, QUERY, ask, refusal, rows

TITLES = [item.title for item in CATALOGUE if item.title]

documents = st.lists(
    st.one_of(
        st.sampled_from(TITLES),
        st.sampled_from([*IDS, "nobody"]).map(lambda item_id: {"id": item_id}),
        st.sampled_from(CATALOGUE[:9]).map(
            lambda item: {
                "id": item.item_id,
                "title": item.title,
                "brand": item.brand,
                "color": item.color,
                "shelf": 7,
            }
        ),
        st.just(""),
    ),
    min_size=1,
    max_size=30,
)


def score_of_each(client: TestClient, asked: list) -> list[float | None]:
    """What `/score` gives each document, alone."""
    found = []
    for one in asked:
        if isinstance(one, str):
            body = {"items": [{"id": "x", "text": one}]}
        elif "title" in one:
            fields = {name: one[name] for name in ("title", "brand", "color")}
            body = {"items": [{"id": "x", **fields}]}
        else:
            body = {"item_ids": [one["id"]]}
        row = client.post("/score", json={"query": QUERY, **body}).json()["results"][0]
        found.append(row["score"])
    return found


def best_first(scores: list[float | None]) -> list[int]:
    return sorted(
        (at for at, found in enumerate(scores) if found is not None),
        key=lambda at: (-scores[at], at),
    )


@FEW
@given(asked=documents, top_n=st.none() | st.integers(0, 40), version=st.sampled_from("12"))
def test_documents_get_the_order_and_the_very_scores_of_the_score_route(
    client, asked, top_n, version
) -> None:
    """Whatever mixture of texts, the catalogue's items and items sent along they are."""
    alone = score_of_each(client, asked)

    reply = ask(client, f"/v{version}/rerank", query=QUERY, documents=asked, top_n=top_n)

    expected = best_first(alone)[: top_n or None]
    assert [row["index"] for row in reply["results"]] == expected
    assert [row["relevance_score"] for row in reply["results"]] == [alone[at] for at in expected]
    assert reply["meta"]["api_version"]["version"] == version
    assert reply["model"] == reply["bundle"]


@FEW
@given(asked=documents)
def test_texts_of_tei_get_the_same(client, asked) -> None:
    alone = score_of_each(client, asked)

    reply = ask(client, "/rerank", query=QUERY, texts=asked, truncate=True)

    expected = [{"index": at, "score": alone[at]} for at in best_first(alone)]
    assert reply == expected


@FEW
@given(asked=documents, names=st.sampled_from(list(SIDES.values())), path=st.booleans())
def test_pairs_of_vllm_get_the_same_in_the_order_of_the_request(client, asked, names, path) -> None:
    alone = score_of_each(client, asked)
    scored = [at for at, found in enumerate(alone) if found is not None]
    assume(scored)
    queries, others = names
    where = "/score" if path else "/v1/score"

    reply = ask(client, where, **{queries: QUERY, others: [asked[at] for at in scored]})

    assert [row["score"] for row in reply["data"]] == [alone[at] for at in scored]
    assert [row["index"] for row in reply["data"]] == list(range(len(scored)))


def test_pairs_may_each_have_a_query_of_their_own(client) -> None:
    queries = ["oak desk", "red water bottle", "oak desk", "steel lamp"]
    texts = ["Oak desk", {"id": "B001"}, {"id": "B003"}, "Lamp 7 steel oak red"]

    together = ask(client, "/score", text_1=queries, text_2=texts)["data"]

    for row, query, text in zip(together, queries, texts, strict=True):
        [alone] = ask(client, "/score", text_1=query, text_2=text)["data"]
        assert row["score"] == alone["score"]


def test_a_document_that_gets_no_score_is_left_out_and_named(client) -> None:
    asked = ["oak desk", {"id": "nobody"}, "", {"id": "B005"}]

    reply = ask(client, "/v2/rerank", query=QUERY, documents=asked)

    assert [row["index"] for row in reply["results"]] == [0]
    assert reply["meta"]["warnings"] == [
        "documents.1: no score: missing",
        "documents.2: no score: no_text",
        "documents.3: no score: no_text",
    ]


def test_a_pair_that_gets_no_score_refuses_the_request_as_clients_count_the_rows(client) -> None:
    asked = {"data_1": ["lamp", "desk", "lamp"], "data_2": ["steel lamp", "oak", {"id": "nobody"}]}

    assert refusal(client, "/score", **asked) == (422, "no_score", "data_2.2")


def test_raw_scores_are_the_very_logits_that_an_explanation_adds_up_to(client) -> None:
    ids = ["B001", "B003", "lamp-7"]
    explained = [
        client.post("/explain", json={"query": QUERY, "item_id": one}).json()["logit"]
        for one in ids
    ]
    asked = [{"id": one} for one in ids]

    by_tei = ask(client, "/rerank", query=QUERY, texts=asked, raw_scores=True)
    by_vllm = ask(client, "/score", queries=QUERY, items=asked, use_activation=False)

    assert {row["index"]: row["score"] for row in by_tei} == dict(enumerate(explained))
    assert [row["score"] for row in by_vllm["data"]] == explained


def test_usage_counts_what_was_encoded_for_the_request_and_nothing_else(client) -> None:
    def tokens(*asked: object) -> int:
        return ask(client, "/v2/rerank", query=QUERY, documents=list(asked))["usage"][
            "total_tokens"
        ]

    assert tokens({"id": "B001"}) == 3
    assert tokens({"id": "B001"}, "oak desk") == 5
    assert tokens("oak desk", "oak desk") == 5  # the same text is encoded once


def test_what_had_no_time_is_left_out_and_what_was_in_time_keeps_its_score(snapshot) -> None:
    def late_job() -> Job:
        return Job(snapshot, deadline=Deadline.after(2500, since=0.0, clock=TickingClock()))

    asked = ["oak desk", "steel lamp", "red shoe"]
    reply = rerank_reply("2")(late_job(), RerankRequest(query=QUERY, documents=asked))
    texts = texts_reply(late_job(), TextsRequest(query=QUERY, texts=asked))

    in_time = {row.index: row.relevance_score for row in reply.results}
    assert 0 < len(in_time) < 3
    assert reply.meta.warnings == [
        f"documents.{at}: no score: deadline" for at in range(3) if at not in in_time
    ]
    assert {row.index: row.score for row in texts} == in_time


def test_fields_of_other_apis_without_a_use_here_change_nothing(client) -> None:
    body = {"query": QUERY, "documents": ["oak desk", "red bottle"]}
    idle = {"model": "rerank-v3.5", "user": "me", "priority": 3, "max_chunks_per_doc": 4}

    assert rows(client, **body, **idle) == rows(client, **body)
    assert refusal(client, "/v1/rerank", **body, chat_template="x")[:2] == (422, "invalid_request")


def test_a_request_keeps_the_id_its_client_gave_it(client) -> None:
    body = {"query": QUERY, "documents": ["lamp"]}

    assert ask(client, "/v1/rerank", **body, request_id="mine")["id"] == "mine"
    first, second = (ask(client, "/v1/rerank", **body)["id"] for _ in range(2))
    assert first != second
