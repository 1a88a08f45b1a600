"""BM25 against its formula written out, and what it may not count."""

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.baselines import baseline_scores, fit_bm25, token_overlap
from relevance.domain import Item
from relevance.records import Pair

texts = st.lists(st.sampled_from(["red", "blue", "lamp", "desk"]), min_size=1, max_size=6).map(
    " ".join
)


@given(st.lists(texts, min_size=1, max_size=6), texts)
def test_bm25_is_its_formula(titles, query):
    bm25 = fit_bm25(titles)

    for title in titles:
        expected, length = 0.0, len(title.split())
        mean = sum(len(t.split()) for t in titles) / len(titles)
        for word in query.split():
            holding = sum(word in t.split() for t in titles)
            idf = log(1 + (len(titles) - holding + 0.5) / (holding + 0.5))
            count = title.split().count(word)
            expected += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean))
        assert bm25.score(query, title) == pytest.approx(expected)


def test_held_out_items_change_no_score():
    pairs = [Pair("red lamp", "1")]
    items = {"1": Item("1", "red lamp"), "2": Item("2", "blue desk"), "3": Item("3", "red desk")}
    without = {key: item for key, item in items.items() if key != "3"}

    found = baseline_scores(pairs, items, held_out=frozenset({"3"}))

    expected = baseline_scores(pairs, without, held_out=frozenset())
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in expected.items()}
    assert set(found) == {"overlap", "bm25"}


def test_an_empty_catalogue_scores_nothing():
    assert fit_bm25([]).score("red", "") == 0


@pytest.mark.parametrize(
    ("query", "title", "share"), [("red bag", "Red Shoe", 0.5), ("", "x", 0.0), ("a", "A", 1.0)]
)
def test_token_overlap_is_the_share_of_words_found(query: str, title: str, share: float) -> None:
    assert token_overlap(query, title) == share
