"""Cut texts: which pairs are cut, and what a row is worth on them, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.item_text import ItemText
from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from tests.trainer.make_students import make_text, make_tokenizer
from trainer.examples import TextLengths, TextTable
from trainer.study.truncation import CUT, SHARES, WHOLE, cut_at_lengths, truncation_slices

TOKENIZER = make_tokenizer()
SHORT = make_text(10, 11)
LONG = replace(SHORT, truncated=True)
TEXTS = TextTable(
    {"desk": SHORT, "a long query": LONG},
    {"short": SHORT, "long": LONG, "other": SHORT, "more": SHORT},
)
PAIRS = [Pair(query, item_id) for query in TEXTS.queries for item_id in TEXTS.items]


def test_a_pair_is_cut_where_its_query_or_its_item_is():
    random = np.random.default_rng(0)
    good, logits = np.array([1, 0, 0, 1, 1, 0, 1, 0], dtype=bool), random.normal(size=8)
    cut = np.array([False, True, False, False, True, True, True, True])

    found = truncation_slices(PAIRS, good, logits, TEXTS)

    assert found[SHARES] == {"queries": 1 / 2, "items": 1 / 4, "pairs": 5 / 8}
    for name, chosen in ((CUT, cut), (WHOLE, ~cut)):
        assert found[name] == {
            "pairs": chosen.sum(),
            "roc_auc": pytest.approx(roc_auc(good[chosen], logits[chosen])),
            "neg_pr_auc": pytest.approx(neg_pr_auc(good[chosen], logits[chosen])),
        }


@given(st.integers(1, 4), st.integers(1, 4))
def test_pairs_are_cut_where_they_have_more_tokens_than_the_lengths(query_tokens, item_tokens):
    """Every word of the toy shop is one token."""
    titles = {"a": "red desk", "b": "green lamp chair", "c": "blue"}
    queries = ("desk", "red lamp", "black shoe desk")
    catalogue = {item_id: Item(item_id, title) for item_id, title in titles.items()}
    pairs = [Pair(query, item_id) for query in queries for item_id in titles]

    found = cut_at_lengths(
        pairs, catalogue, TOKENIZER, TextLengths(query_tokens, item_tokens, ItemText.TITLE)
    )

    cut = {
        (pair.query, pair.item_id)
        for pair in pairs
        if len(pair.query.split()) > query_tokens or len(titles[pair.item_id].split()) > item_tokens
    }
    whole = {(pair.query, pair.item_id) for pair in pairs} - cut
    at = f"at {query_tokens}/{item_tokens} tokens"
    expected = {f"cut {at}": cut, f"whole {at}": whole}
    assert found == {name: keys for name, keys in expected.items() if keys}


def test_a_slice_of_one_class_has_no_measures():
    good = np.array([1, 1, 0, 1, 1, 1, 1, 1], dtype=bool)

    found = truncation_slices(PAIRS, good, np.arange(8.0), TEXTS)

    assert set(found) == {SHARES, WHOLE}
