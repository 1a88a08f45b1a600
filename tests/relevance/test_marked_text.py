"""Texts cut where evidence begins and ends: nothing is lost, and who wins on overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import EvidenceSpan, Relevance, Side
from relevance.errors import BadInput
from relevance.marked_text import marked


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[EvidenceSpan]]:
    text = draw(st.text(min_size=1, max_size=20))
    spans = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        side, relevance = draw(st.sampled_from(list(Side))), draw(st.sampled_from(list(Relevance)))
        spans.append(EvidenceSpan(side, start, end, relevance, "color"))
    return text, spans


@given(marked_texts())
def test_pieces_joined_are_the_text_and_each_character_keeps_its_evidence(case):
    text, spans = case

    cut = marked(text, Side.TITLE, spans, where="here")

    assert "".join(piece.text for piece in cut) == text
    at = 0
    for piece in cut:
        for place in range(at, at + len(piece.text)):
            covering = [s for s in spans if s.side is Side.TITLE and s.start <= place < s.end]
            assert list(piece.spans) == covering
        at += len(piece.text)


def test_irrelevant_evidence_wins_where_spans_overlap():
    spans = (
        EvidenceSpan(Side.TITLE, 0, 15, Relevance.RELEVANT, "color"),
        EvidenceSpan(Side.TITLE, 4, 8, Relevance.IRRELEVANT, "product"),
    )

    cut = marked("red water bottle", Side.TITLE, spans, where="here")

    assert [piece.text for piece in cut] == ["red ", "wate", "r bottl", "e"]
    assert [piece.relevance for piece in cut] == ["relevant", "irrelevant", "relevant", None]
    assert cut[1].says == "color: relevant, product: irrelevant"


def test_evidence_outside_the_text_is_refused_saying_where():
    span = EvidenceSpan(Side.QUERY, 1, 9, Relevance.RELEVANT, "color")

    with pytest.raises(BadInput, match=r"pair 3: expected query evidence within \[0, 4\), got"):
        marked("lamp", Side.QUERY, [span], where="pair 3")
