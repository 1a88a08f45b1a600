from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from relevance.chain_of_thought import parse
from relevance.domain import Item, Judgement
from relevance.late_interaction import integer_maxima
from service.explain_wire import ExplainReply
from service.explanations import Explanations
from service.fakes import StandingService, WordJudge
from service.job import Job
from service.query import encode_query
from service.snapshot import Snapshot
from service.teacher_door import Explainer
from tests.service.conftest import CATALOGUE, FEW
from tests.service.make_app import ForgetfulStore, make_client

WITH_TEXT = [item for item in CATALOGUE if item.title]
QUERIES = st.text("redwatbol oin", min_size=1, max_size=30).filter(str.strip)


class BrokenJudge:
    threshold = 0.5
    fingerprint = "broken/1"

    def judge(self, query: str, item: Item) -> Judgement:
        raise RuntimeError("the teacher's files were removed")


def taught(snapshot: Snapshot, *explainers: Explainer) -> TestClient:
    return make_client(StandingService(snapshot, explanations=Explanations(explainers)))


@pytest.fixture(scope="module")
def client(snapshot) -> TestClient:
    return taught(snapshot)


def explain(client: TestClient, **body) -> dict:
    reply = client.post("/explain", json=body)
    assert reply.status_code == 200, reply.text
    assert msgspec.json.decode(reply.content, type=ExplainReply)
    return reply.json()


@FEW
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


@FEW
@given(query=QUERIES, item=st.sampled_from(WITH_TEXT))
def test_offsets_point_at_the_tokens_they_name(client, query, item) -> None:
    reply = explain(client, query=query, item_id=item.item_id)

    for row in reply["contributions"]:
        assert reply["query"][row["start"] : row["end"]] == row["token"] != ""
        best = row["best"]
        assert reply["item_text"][best["start"] : best["end"]] == best["token"] != ""
        assert -1.1 <= row["cosine"] <= 1.1


@FEW
@given(query=QUERIES, item=st.sampled_from(WITH_TEXT))
def test_the_best_item_token_is_the_first_of_the_largest_over_all_real_rows(
    client, snapshot, query, item
) -> None:
    row = int(snapshot.items.rows_of([item.item_id])[0])
    count, limit = int(snapshot.items.token_counts[row]), snapshot.bundle.max_item_tokens
    real_rows = snapshot.items.arena[row : row + 1, :count].swapaxes(0, 1)  # each row as an item
    dots = integer_maxima(encode_query(Job(snapshot), query).tokens.steps, real_rows)

    reply = explain(client, query=query, item_id=item.item_id)

    offsets = snapshot.encoder.tokenise(reply["item_text"], limit=limit).offsets
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


def test_the_teacher_gives_aspects_and_a_chain_of_thought(snapshot) -> None:
    reply = explain(taught(snapshot, WordJudge()), query="steel bottle", item_id="B001")

    assert reply["teacher"] == {
        "state": "ok",
        "origin": "catalogue",
        "tried": [{"origin": "catalogue", "state": "ok"}],
        "judge": "teacher:word",
        "score": pytest.approx(0.8808, abs=1e-4),
        "label": "Good",
        "fingerprint": "word/1",
    }
    assert reply["aspects"] == [
        {"aspect": "product", "asked": "steel", "offered": "steel", "verdict": "match"}
    ]
    assert parse(reply["chain_of_thought"]).label == "Good"


def test_a_teacher_that_fails_leaves_the_students_answer(snapshot, client) -> None:
    reply = explain(taught(snapshot, BrokenJudge()), query="steel bottle", item_id="B001")

    alone = explain(client, query="steel bottle", item_id="B001")
    assert reply["teacher"].pop("tried") == [{"origin": "catalogue", "state": "unavailable"}]
    assert alone["teacher"].pop("tried") == []
    assert reply == alone
    assert reply["teacher"]["origin"] == "alignment"


def test_a_second_teacher_gives_its_reasons_under_its_own_name(snapshot) -> None:
    reply = explain(taught(snapshot, BrokenJudge(), WordJudge()), query="steel", item_id="B001")

    assert (reply["teacher"]["state"], reply["teacher"]["judge"]) == ("unavailable", "teacher:word")
    assert reply["chain_of_thought"]


def test_a_passed_deadline_costs_the_reasons_and_not_the_alignment(snapshot, client) -> None:
    hurried = taught(snapshot, WordJudge())

    reply = explain(hurried, query="steel bottle", item_id="B001", deadline_ms=1e-6)

    assert reply["teacher"]["state"] in ("timeout", "ok")  # a quick answer may come all the same
    assert reply["score"] == explain(client, query="steel bottle", item_id="B001")["score"]


def test_an_item_whose_rows_are_lost_is_explained_from_its_text(snapshot, client) -> None:
    store = ForgetfulStore(snapshot.items, ("B001",))

    reply = explain(taught(replace(snapshot, items=store)), query="steel", item_id="B001")

    whole = explain(client, query="steel", item_id="B001")
    assert reply == {**whole, "status": "encoded", "degraded": ["rows_lost"]}


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
