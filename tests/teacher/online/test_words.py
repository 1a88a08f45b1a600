"""Words: what is one, where it stands, what it is compared by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.text import normalise
from teacher.online.words import stem, stems, words


@given(st.text(max_size=60))
def test_every_word_stands_where_it_says(raw: str) -> None:
    text = normalise(raw)

    said = words(text)

    assert all(0 <= word.start < word.end <= len(text) for word in said)
    assert all(one.start <= two.start for one, two in zip(said, said[1:], strict=False))


@given(st.text(max_size=60))
def test_stems_alone_are_the_words_stems(raw: str) -> None:
    text = normalise(raw)

    assert stems(text) == [word.stem for word in words(text)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dresses", "dress"),
        ("women's", "women"),
        ("womens", "women"),
        ("batteries", "battery"),
        ("boxes", "box"),
        ("shoes", "shoe"),
        ("knives", "knife"),
    ],
)
def test_plurals_and_possessives_are_compared_as_one_word(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_a_number_with_a_point_is_one_word() -> None:
    assert stems("1.75 inch, v2.5, end 3. u.s.a.") == ["1.75", "inch", "v2", "5", "end", "3", "usa"]
    assert stem("17.5") != stem("1.75")


@pytest.mark.parametrize("word", ["glass", "bus", "series", "canvas", "gas"])
def test_words_that_end_in_s_by_themselves_keep_it(word: str) -> None:
    assert stem(word) == word
