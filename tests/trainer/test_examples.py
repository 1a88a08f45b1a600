"""From pairs and judgements to examples: labels, pseudo-labels, dropped scores, evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item, Relevance, Side
from relevance.errors import BadInput
from relevance.item_text import ItemText
from relevance.records import Pair
from tests.trainer.make_students import make_judgement, make_span
from trainer.examples import TextLengths, make_examples, tokenise_texts

LENGTHS = TextLengths(query_tokens=4, item_tokens=5, item_text=ItemText.TITLE)
CATALOGUE = {
    "1": Item("1", "Red water bottle with a long title", brand="Acme"),
    "2": Item("2", "blue lamp"),
    "3": Item("3", ""),
}


@pytest.fixture
def examples_of(backbone):
    """Examples and counts of some pairs with these judgements."""

    def examples(pairs, *judgements):
        texts = tokenise_texts(backbone.tokenizer, pairs, CATALOGUE, LENGTHS)
        return make_examples(pairs, texts, {(j.query, j.item_id): j for j in judgements})

    return examples


def test_a_human_label_beats_the_teachers_verdict(examples_of):
    pair, against = Pair("red bottle", "1", good=True), make_judgement("red bottle", "1", -4.0)

    (example,), _ = examples_of([pair], against)

    assert (example.good, example.human) == (True, True)


@pytest.mark.parametrize(("log_odds", "good"), [(3.0, True), (0.0, True), (-0.1, False)])
def test_without_a_human_label_the_teachers_verdict_is_the_label(examples_of, log_odds, good):
    judgement = make_judgement("red bottle", "1", log_odds)

    (example,), counts = examples_of([Pair("red bottle", "1")], judgement)

    assert (example.good, example.human, example.log_odds) == (good, False, log_odds)
    assert not +counts


def test_the_score_of_a_teacher_held_out_of_the_pair_is_used(examples_of):
    judgement = make_judgement("red bottle", "1", -2.5, held_out_of="0:3")

    (example,), counts = examples_of([Pair("red bottle", "1", good=True)], judgement)

    assert (example.good, example.log_odds) == (True, -2.5)
    assert not +counts


@pytest.mark.parametrize("held_out_of", ["seen", None])
def test_a_teacher_that_may_have_seen_the_label_adds_nothing_and_is_counted(
    examples_of, held_out_of
):
    spans = [make_span(Side.QUERY, 0, 3)]
    judgement = make_judgement("red bottle", "1", held_out_of=held_out_of, spans=spans)

    (example,), counts = examples_of([Pair("red bottle", "1", good=False)], judgement)

    assert (example.good, example.human, example.log_odds) == (False, True, None)
    assert set(example.query_factors) == {0}
    assert +counts == {"seen": 1}


def test_pairs_without_any_label_or_any_token_are_left_out_and_counted(examples_of):
    pairs = [
        Pair("red bottle", "1"),
        Pair("red bottle", "2", good=True),
        Pair("blue lamp", "3", good=False),
        Pair("blue lamp", "2", good=True),
    ]

    examples, counts = examples_of(pairs)

    assert [e.query for e in examples] == ["red bottle", "blue lamp"]
    assert +counts == {"no_label": 1, "no_tokens": 1}


def test_factors_stand_on_the_tokens_that_the_spans_touch(examples_of):
    spans = [
        make_span(Side.QUERY, 0, 3, Relevance.IRRELEVANT),
        make_span(Side.TITLE, 4, 16),  # water bottle
        make_span(Side.TITLE, 24, 34, Relevance.IRRELEVANT),  # past the cut
    ]
    judgement = make_judgement("red bottle", "1", spans=spans)

    (example,), _ = examples_of([Pair("red bottle", "1")], judgement)

    assert example.query_factors == (-1, 0)
    assert example.item_factors[:3] == (0, 1, 1)
    assert set(example.item_factors[3:]) == {0}
    assert example.item_text.truncated


@given(
    st.lists(
        st.builds(
            lambda side, start, width, relevance: make_span(side, start, start + width, relevance),
            st.sampled_from(Side),
            st.integers(0, 33),
            st.integers(1, 9),
            st.sampled_from(Relevance),
        ),
        max_size=4,
    )
)
def test_every_factor_has_a_span_of_its_side_and_every_touched_token_a_factor(backbone, spans):
    pairs = [Pair("red bottle", "1")]
    texts = tokenise_texts(backbone.tokenizer, pairs, CATALOGUE, LENGTHS)
    judgement = make_judgement("red bottle", "1", spans=spans)

    (example,), _ = make_examples(pairs, texts, {("red bottle", "1"): judgement})

    for side, text, factors in (
        (Side.QUERY, example.query_text, example.query_factors),
        (Side.TITLE, example.item_text, example.item_factors),
    ):
        for (start, end), factor in zip(text.offsets, factors, strict=True):
            touching = {
                s.relevance for s in spans if s.side is side and s.start < end and start < s.end
            }
            irrelevant = Relevance.IRRELEVANT in touching
            assert factor == (-1 if irrelevant else 1 if touching else 0)


def test_texts_are_normalised_cut_and_tokenised_once_each(backbone):
    pairs = [Pair("Ｒed\u200b  lamp", "1"), Pair("Ｒed\u200b  lamp", "2"), Pair("desk", "1")]

    texts = tokenise_texts(backbone.tokenizer, pairs, CATALOGUE, LENGTHS)

    assert list(texts.queries) == ["Ｒed\u200b  lamp", "desk"]
    assert list(texts.items) == ["1", "2"]
    assert texts.queries["Ｒed\u200b  lamp"].offsets == ((0, 3), (4, 8))
    assert len(texts.items["1"].offsets) == 5


def test_the_items_text_follows_the_template(backbone):
    lengths = TextLengths(query_tokens=4, item_tokens=30, item_text=ItemText.TITLE_BRAND_COLOR)

    texts = tokenise_texts(backbone.tokenizer, [Pair("desk", "1")], CATALOGUE, lengths)

    assert texts.items["1"].offsets[-1][1] == len("Red water bottle with a long title Acme")


def test_items_that_are_not_in_the_catalogue_are_counted_and_one_is_named(backbone):
    pairs = [Pair("desk", "1"), Pair("desk", "gone"), Pair("desk", "lost")]

    with pytest.raises(BadInput, match="2 items not in the catalogue, such as `gone`"):
        tokenise_texts(backbone.tokenizer, pairs, CATALOGUE, LENGTHS)
