"""The pair view's numbers are those of /score and /explain, bit for bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.late_interaction import sigmoid
from service.console.pair import pair_reply
from service.console.wire import PairRequest
from service.job import Job
from service.wire import InlineItem
from tests.service.console.make_console import ask

WORDS = ("red", "water", "bottle", "oak", "desk", "lamp")
QUERIES = ("red water bottle", "oak desk", "blue cotton shoe 42", "steel")


@pytest.mark.parametrize("item_id", ["B001", "B004", "Ω-6", "lamp-7"])
@pytest.mark.parametrize("query", QUERIES)
def test_a_pair_has_the_score_and_contributions_of_the_api(client, query, item_id) -> None:
    pair = ask(client, "pair", query=query, item_id=item_id)

    scored = client.post("/score", json={"query": query, "item_ids": [item_id]}).json()
    explained = client.post("/explain", json={"query": query, "item_id": item_id}).json()
    assert pair["score"] == scored["results"][0]["score"]
    assert pair["contributions"] == explained["contributions"]
    assert pair["logit"] == explained["logit"]
    assert pair["item_text"] == explained["item_text"]


@settings(deadline=None, max_examples=25)
@given(
    query=st.lists(
        st.sampled_from(["red", "water", "bottle", "oak", "desk", "lamp"]), min_size=1
    ).map(" ".join),
    title=st.text(min_size=1, max_size=30),
)
def test_the_best_similarities_are_the_contributions(snapshot, query, title) -> None:
    bundle, asked = snapshot.bundle, PairRequest(query, item=InlineItem("new", title=title))

    pair = pair_reply(Job(snapshot), asked)

    if pair.score is None:
        assert pair.cosines == []
        return
    cosines = np.array(pair.cosines)
    shares = bundle.logit_weight * cosines.max(axis=1) / len(cosines)
    assert [c.contribution for c in pair.contributions] == shares.tolist()
    assert pair.best == cosines.argmax(axis=1).tolist()
    assert [pair.item_tokens[at] for at in pair.best] == [c.best for c in pair.contributions]
    assert cosines.shape == (len(pair.contributions), len(pair.item_tokens))


@pytest.mark.parametrize("query", QUERIES)
def test_needed_is_the_mean_contribution_that_reaches_the_threshold(client, query) -> None:
    pair = ask(client, "pair", query=query, item_id="B001")
    tokens, threshold = len(pair["contributions"]), pair["threshold"]

    reached = float(sigmoid(np.array(pair["needed"] * tokens + pair["bias"])))

    assert math.isclose(reached, threshold, abs_tol=1e-12)
    total = sum(one["contribution"] for one in pair["contributions"])
    assert (total >= pair["needed"] * tokens) == (pair["label"] == "Good")


def test_an_item_without_text_has_no_score_and_nothing_to_show(client) -> None:
    pair = ask(client, "pair", query="oak desk", item_id="B005")

    assert (pair["score"], pair["label"], pair["status"]) == (None, None, "no_text")
    assert pair["cosines"] == pair["contributions"] == pair["item_tokens"] == []


def test_an_unknown_item_is_a_404(client) -> None:
    answer = client.post("/console/api/pair", json={"query": "oak desk", "item_id": "nobody"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "item_not_found")
