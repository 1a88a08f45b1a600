"""Reading queries: what is asked for, and where it says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.text import normalise
from teacher.online.query_reading import QueryReader
from teacher.online.readings import QueryReading
from tests.teacher.make_teacher import BRANDS, lexicon

READER = QueryReader(lexicon())
SHOP_TALK = st.lists(
    st.sampled_from(
        ["red", "crimson", "women's", "for", "without", "laces", "24 oz", "24", "wh-1000xm4"]
        + ["bottle", "water", "no", "free", "set of 2", "ﬁve", "ß", "İ", "&", "kids", *BRANDS]
    ),
    max_size=9,
).map(" ".join)


def asked(query: QueryReading) -> set[tuple[str, str]]:
    return {(ask.aspect, ask.text) for ask in query.asks}


@given(st.one_of(SHOP_TALK, st.text(max_size=50)))
def test_every_ask_reads_back_from_its_place(raw: str) -> None:
    reading = READER.read(raw)

    assert reading.text == normalise(raw)
    for mention in (*reading.asks, *reading.absent):
        assert mention.span is not None
        assert reading.text[slice(*mention.span)] == mention.text


@pytest.mark.parametrize(
    ("query", "aspect", "text"),
    [
        ("red norvane water bottle", "color", "red"),
        ("red norvane water bottle", "brand", "norvane"),
        ("red norvane water bottle", "product", "water bottle"),
        ("running shoes for women", "gender", "women"),
        ("running shoes for women", "product", "running shoes"),
        ("toddler backpack", "age", "toddler"),
        ("leather backpack", "material", "leather"),
        ("winter backpack", "season", "winter"),
        ("wireless desk lamp", "style", "wireless"),
        ("desk lamp wh1000xm4", "model_number", "wh1000xm4"),
        ("backpack xl", "other", "xl"),
        ("backpack zipper", "other", "zipper"),
    ],
)
def test_a_query_asks_for(query: str, aspect: str, text: str) -> None:
    assert (aspect, text) in asked(READER.read(query))


def test_the_head_is_what_the_thing_is() -> None:
    heads = {q: READER.read(q).head for q in ("case for iphone", "desk lamp with switch")}

    assert {q: head and head.stem for q, head in heads.items()} == {
        "case for iphone": "case",
        "desk lamp with switch": "lamp",
    }


def test_what_must_not_be_there_is_not_asked_for() -> None:
    reading = READER.read("backpack without zipper")

    assert [(m.text, m.value) for m in reading.absent] == [("without zipper", "zipper")]
    assert asked(reading) == {("product", "backpack")}
    assert "zipper" not in reading.weights


def test_a_slip_of_the_finger_is_read_as_the_word_that_was_meant() -> None:
    reading = READER.read("norvnae bakpack")

    assert [(ask.aspect, ask.value, ask.text) for ask in reading.asks] == [
        ("brand", "norvane", "norvnae"),
        ("product", "backpack", "bakpack"),
    ]


def test_a_query_of_nothing_asks_for_nothing() -> None:
    reading = READER.read("  ")

    assert reading.asks == ()
    assert reading.head is None
