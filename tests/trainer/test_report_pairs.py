"""Explained pairs in the report: evidence where it stands, and what may be absent."""

import re

import pytest

from relevance.errors import BadInput
from tests.trainer.make_report import Example, make_entry, make_span, seen
from trainer.report_pairs import pair_view


def test_evidence_is_marked_where_it_stands(page: str) -> None:
    title = re.search(r"Title: </span>(.*?)</p>", page)
    assert title is not None
    marks = re.findall(r'<mark class="(\w+)" title="([^"]+)">([^<]*)<', title[1])

    assert marks == [
        ("irrelevant", "color: irrelevant", "blue "),
        ("irrelevant", "color: irrelevant, product: relevant", "water"),
        ("relevant", "product: relevant", " bottle"),
    ]


def test_evidence_outside_its_text_is_refused() -> None:
    entry = make_entry(spans=[make_span("query", 4, 99, "relevant", "product")])

    with pytest.raises(BadInput, match=r"pair 3: expected query evidence within \[0, 16\), got"):
        pair_view(entry, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"side": "image"}, {"relevance": "maybe"}, {"aspect": "price"}, {"start": 9, "end": 9}],
)
def test_evidence_that_is_none_is_refused(wrong) -> None:
    entry = make_entry(spans=[{**make_span("query", 0, 3, "relevant", "color"), **wrong}])

    with pytest.raises(BadInput, match="explained pair 1: "):
        pair_view(entry, 1)


def test_what_an_explanation_may_lack_is_left_out(example: Example) -> None:
    bare = {"query": "red bottle", "title": "", "score": None}
    live = {**example.live, "explained": [bare]}

    text = seen(example.page(live=live))

    assert "no score, the item has no text" in text
    assert "human: not labelled" in text
    assert "No aspect was found in the query." in text
