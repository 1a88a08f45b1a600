import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from relevance.chain_of_thought import parse
from relevance.domain import Item, Judgement
from relevance.late_interaction import integer_maxima
from service.app import create_app
from service.fakes import WordJudge
from service.query import encode_query
from service.schemas import ExplainReply
from service.settings import Settings
from tests.service.conftest import CATALOGUE, UNHURRIED, with_explainer

WITH_TEXT = [item for item in CATALOGUE if item.title]
QUERIES = st.text("redwatbol oin", min_size=1, max_size=30).filter(str.strip)


class BrokenJudge:
    threshold = 0.5

    def judge(self, query: str, item: Item) -> Judgement:
        raise RuntimeError("the teacher's files were removed")


def explain(client: TestClient, **body) -> dict:
    reply = client.post("/explain", json=body)
    assert reply.status_code == 200, reply.text
    assert ExplainReply.model_validate_json(reply.content)
    return reply.json()


@UNHURRIED
@given(query=QUERIES, item=st.sampled_from(WITH_TEXT), is_inline=st.booleans())
def test_contributions_add_up_to_the_logit_behind_the_very_score(
    client, query, item, is_inline
) -> None:
    sent = {"id": item.item_id, "title": item.title, "brand": item.brand, "color": item.color}
    asked = {"item": sent} if is_inline else {"item_id": item.item_id}

    reply = explain(client, query=query, **asked)

    rows = client.post("/score", json={"query": query, "item_ids": [item.item_id]}).json()
    shares = [row["contribution"] for row in reply["contributions"]]
    assert sum(shares) + reply["bias"] == pytest.approx(reply["logit"], abs=1e-6)
    assert reply["score"] == rows["results"][0]["score"]
    assert reply["label"] == rows["results"][0]["label"]
    assert reply["query_truncated"] == rows["query_truncated"]
    assert reply["truncated"] == rows["results"][0]["truncated"]


@UNHURRIED
@given(query=QUERIES, item=st.sampled_from(WITH_TEXT))
def test_offsets_point_at_the_tokens_they_name(client, query, item) -> None:
    reply = explain(client, query=query, item_id=item.item_id)

    for row in reply["contributions"]:
        assert reply["query"][row["start"] : row["end"]] == row["token"] != ""
        best = row["best"]
        assert reply["item_text"][best["start"] : best["end"]] == best["token"] != ""
        assert -1.1 <= row["cosine"] <= 1.1


@UNHURRIED
@given(query=QUERIES, item=st.sampled_from(WITH_TEXT))
def test_the_best_item_token_is_the_first_of_the_largest_over_all_real_rows(
    client, serving, query, item
) -> None:
    row = int(serving.items.rows_of([item.item_id])[0])
    count, limit = int(serving.items.token_counts[row]), serving.bundle.max_item_tokens
    real_rows = serving.items.arena[row : row + 1, :count].swapaxes(0, 1)  # each row as an item
    dots = integer_maxima(encode_query(serving, query).tokens.steps, real_rows)

    reply = explain(client, query=query, item_id=item.item_id)

    offsets = serving.encoder.tokenise(reply["item_text"], limit=limit).offsets
    expected = [offsets[best] for best in dots.argmax(axis=0)]
    assert [(c["best"]["start"], c["best"]["end"]) for c in reply["contributions"]] == expected


def test_the_best_item_token_is_the_same_word_where_the_item_has_it(client) -> None:
    reply = explain(client, query="steel bottle", item_id="B001")

    assert [row["best"]["token"] for row in reply["contributions"]] == ["Steel", "bottle"]


def test_without_a_teacher_the_student_still_answers(client) -> None:
    reply = explain(client, query="red water bottle", item_id="B001")

    assert reply["teacher"]["state"] == "unavailable"
    assert (reply["aspects"], reply["spans"], reply["chain_of_thought"]) == ([], [], None)
    assert len(reply["contributions"]) == 3


def test_the_teacher_gives_aspects_and_a_chain_of_thought(store_folder) -> None:
    app = create_app(Settings(store=store_folder), opened=with_explainer(WordJudge()))
    with TestClient(app) as client:
        reply = explain(client, query="steel bottle", item_id="B001")

    assert reply["teacher"] == {
        "state": "ok",
        "judge": "teacher:word",
        "score": pytest.approx(0.8808, abs=1e-4),
        "label": "Good",
        "fingerprint": "word/1",
    }
    assert reply["aspects"] == [
        {"aspect": "product", "asked": "steel", "offered": "steel", "verdict": "match"}
    ]
    assert parse(reply["chain_of_thought"]).label == "Good"


def test_a_teacher_that_fails_leaves_the_students_answer(store_folder, client) -> None:
    app = create_app(Settings(store=store_folder), opened=with_explainer(BrokenJudge()))
    with TestClient(app) as broken:
        reply = explain(broken, query="steel bottle", item_id="B001")

    assert reply == explain(client, query="steel bottle", item_id="B001")


@pytest.mark.parametrize("asked", [{"item_id": "B005"}, {"item": {"id": "empty"}}])
def test_an_item_without_text_has_no_score_to_explain(client, asked) -> None:
    reply = explain(client, query="steel bottle", **asked)

    assert reply["status"] == "no_text"
    assert (reply["score"], reply["logit"], reply["contributions"]) == (None, None, [])


def test_an_unknown_item_is_not_found(client) -> None:
    reply = client.post("/explain", json={"query": "steel", "item_id": "unknown"})

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "item_not_found"


@pytest.mark.parametrize("asked", [{}, {"item_id": "B001", "item": {"id": "x"}}])
def test_exactly_one_item_is_explained(client, asked) -> None:
    reply = client.post("/explain", json={"query": "steel", **asked})

    assert reply.status_code == 422
    assert "either `item_id` or `item`" in reply.json()["error"]["message"]
