"""Evidence by character offsets: occurrences, BIO tags, attention factors and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Relevance, Side
from relevance.evidence import (
    Tag,
    attention_factors,
    bio_tags,
    find_occurrences,
    spans_of_tags,
)
from relevance.text import normalise
from tests.relevance.make_values import make_span

IRRELEVANT = Relevance.IRRELEVANT
WORDS = [(0, 3), (4, 10), (11, 14), (15, 18)]  # "red bottle and lid"
O, B, I, NB, NI = Tag  # noqa: E741 -- the tags' names


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("Red bottle, red lid, bored", "RED", [(0, 3), (12, 15)]),
        ("red", "red", [(0, 3)]),
        ("a water  bottle", "water bottle", []),  # not normalised: the caller's fault
        ("a water bottle", " water\tbottle ", [(2, 14)]),
        ("Straße", "STRASSE", [(0, 6)]),
        ("die große Tasse", "GROSSE", [(4, 9)]),
        ("不锈钢保温杯", "保温", [(3, 5)]),
        ("哈哈哈哈", "哈哈", [(0, 2), (2, 4)]),
        ("苹果iphone手机壳", "iphone", [(2, 8)]),
        ("iphone12", "iphone", []),
        ("iphone12", "12", []),
        ("24oz", "24", []),
        ("1.5 l and 1 l", "1", [(10, 11)]),
        ("5.1 or 5", "5", [(7, 8)]),
        ("2,000 mah", "000", []),
        ("version 1.5.", "1.5", [(8, 11)]),
        ("women's shoe", "women", [(0, 5)]),
        ("c++ (red)", "c++", [(0, 3)]),
        ("काला", "क", []),  # a vowel sign belongs to its letter
        ("red", "", []),
        ("red", " \u200b", []),
        ("", "red", []),
    ],
)
def test_a_term_occurs_at_word_boundaries_in_any_case(text, term, expected):
    assert find_occurrences(text, term) == tuple(expected)


@given(st.text(), st.text(min_size=1))
def test_what_occurs_reads_like_the_term(text, term):
    text = normalise(text)

    for start, end in find_occurrences(text, term):
        assert normalise(term).casefold() in text[start:end].casefold()


@given(st.lists(st.sampled_from(["red", "Blue", "24", "steel"]), min_size=1), st.data())
def test_every_word_of_a_text_occurs_as_often_as_it_stands_there(words, data):
    term = data.draw(st.sampled_from(words))

    assert len(find_occurrences(" ".join(words), term.upper())) == words.count(term)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], [O, O, O, O]),
        ([make_span(0, 10)], [B, I, O, O]),
        ([make_span(0, 3), make_span(4, 10)], [B, B, O, O]),
        ([make_span(15, 18, IRRELEVANT)], [O, O, O, NB]),
        ([make_span(5, 6)], [O, B, O, O]),  # part of a token is enough
        ([make_span(3, 4)], [O, O, O, O]),  # the space between two is not
        ([make_span(0, 18), make_span(4, 10, IRRELEVANT)], [B, NB, B, I]),
        ([make_span(4, 10, IRRELEVANT), make_span(0, 18)], [B, NB, B, I]),
        ([make_span(0, 10), make_span(4, 18)], [B, I, B, I]),
        ([make_span(0, 18), make_span(0, 18, IRRELEVANT)], [NB, NI, NI, NI]),
        ([make_span(100, 200)], [O, O, O, O]),
    ],
)
def test_the_first_piece_of_a_span_is_b_and_irrelevant_beats_relevant(spans, expected):
    assert bio_tags(WORDS, spans) == tuple(expected)


def test_pieces_of_one_word_continue_it():
    pieces = [(0, 3), (4, 7), (7, 10)]  # red bot ##tle

    assert bio_tags(pieces, [make_span(4, 10)]) == (O, B, I)


def test_tokens_of_zero_width_get_nothing():
    assert bio_tags([(0, 0), (0, 3), (3, 3), (4, 10)], [make_span(0, 10)]) == (O, B, O, B)
    assert attention_factors(bio_tags([(0, 0), (1, 1)], [make_span(0, 10)])) == (0, 0)


def test_spans_of_two_sides_are_refused():
    spans = [make_span(0, 3, side=Side.QUERY), make_span(0, 3, side=Side.TITLE)]

    with pytest.raises(ValueError, match="expected one side, got query and title"):
        bio_tags(WORDS, spans)


def test_factors_are_plus_one_for_and_minus_one_against():
    spans = [make_span(0, 10), make_span(5, 6, IRRELEVANT)]

    assert attention_factors(bio_tags(WORDS, spans)) == (1, -1, 0, 0)


@st.composite
def offsets(draw: st.DrawFn) -> list[tuple[int, int]]:
    at, found = 0, []
    for gap, width in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=12)):
        found.append((at + gap, at + gap + width))
        at += gap + width
    return found


spans_of_one_side = st.lists(
    st.builds(
        lambda start, width, relevance: make_span(start, start + width, relevance),
        st.integers(0, 40),
        st.integers(1, 12),
        st.sampled_from(Relevance),
    ),
    max_size=5,
)


@given(offsets(), spans_of_one_side)
def test_tags_agree_with_a_count_of_shared_characters(tokens, spans):
    tags = bio_tags(tokens, spans)
    for (start, end), tag, factor in zip(tokens, tags, attention_factors(tags), strict=True):
        touching = {
            s.relevance for s in spans if set(range(start, end)) & set(range(s.start, s.end))
        }
        against, in_favour = IRRELEVANT in touching, Relevance.RELEVANT in touching
        assert factor == (-1 if against else int(in_favour))
        assert (tag in (NB, NI), tag in (B, I)) == (against, in_favour and not against)


@given(offsets(), spans_of_one_side)
def test_i_follows_only_its_own_kind(tokens, spans):
    tags = bio_tags(tokens, spans)

    for previous, tag in zip((O, *tags), tags, strict=False):
        assert tag is not I or previous in (B, I)
        assert tag is not NI or previous in (NB, NI)


@given(offsets(), spans_of_one_side)
def test_neither_the_order_of_spans_nor_repeating_them_matters(tokens, spans):
    assert bio_tags(tokens, spans) == bio_tags(tokens, [*reversed(spans), *spans])


@given(offsets(), spans_of_one_side)
def test_tags_lead_back_to_spans_with_the_same_tags(tokens, spans):
    tags = bio_tags(tokens, spans)

    found = [make_span(*span) for span in spans_of_tags(tokens, tags)]

    assert bio_tags(tokens, found) == tags


def test_runs_of_tags_become_spans():
    assert spans_of_tags(WORDS, (B, I, NB, NI)) == (
        (0, 10, Relevance.RELEVANT),
        (11, 18, IRRELEVANT),
    )
    assert spans_of_tags(WORDS, (B, B, O, O)) == (
        (0, 3, Relevance.RELEVANT),
        (4, 10, Relevance.RELEVANT),
    )


def test_an_i_that_continues_nothing_opens_a_span():
    assert spans_of_tags(WORDS, (I, NI, O, I)) == (
        (0, 3, Relevance.RELEVANT),
        (4, 10, IRRELEVANT),
        (15, 18, Relevance.RELEVANT),
    )


def test_there_is_one_tag_a_token():
    with pytest.raises(ValueError, match="zip"):
        spans_of_tags(WORDS, (B, I))
