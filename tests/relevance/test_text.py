"""Normalisation is stable, folding keeps offsets, words are what they look like."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relevance.text import fold, is_unspaced, normalise, words


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


WHITE = " \t\n\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000"
AWKWARD = "aZ9\u0301\u0308\u1100\u1161\u200b\u200d\u00ad\u0378\ue000ﬁＷ㎏é" + WHITE


@given(st.text() | st.text(AWKWARD))
@example("a\u00a0\u0301")  # an accent after white space joins neither side
@example("a\u200d\u0301")
def test_normalising_at_once_gives_what_going_through_the_characters_gives(text):
    assert normalise(text) == normalised_by_character(text)


def normalised_by_character(text: str) -> str:
    """The definition: composed, rid of controls and formats, spaced, until nothing changes."""
    dropped = {"Cc", "Cf", "Co", "Cs"}
    composed = unicodedata.normalize("NFKC", text)
    kept = [c for c in composed if c.isspace() or unicodedata.category(c) not in dropped]
    found = " ".join("".join(kept).split())
    return found if found == text else normalised_by_character(found)


@given(st.text())
def test_a_normalised_text_is_composed_trimmed_and_free_of_controls(text):
    found = normalise(text)

    assert found == unicodedata.normalize("NFKC", found)
    assert found == " ".join(found.split())
    assert not {unicodedata.category(c) for c in found} & {"Cc", "Cf", "Co", "Cs"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Ｗater\u200b bottle\n24\u00a0oz ", "Water bottle 24 oz"),
        ("desk\x0clamp", "desk lamp"),  # a form feed is white space, not nothing
        ("desk\x85lamp\u2028oak\u2029", "desk lamp oak"),
        ("re\u0301d", "réd"),
        ("e\u200d\u0301", "é"),  # dropping the joiner lets the accent compose
        ("a\x00b\ud800c\ue000", "abc"),
        ("㎏ ﬁne", "kg fine"),
        ("", ""),
    ],
)
def test_what_normalisation_does(text, expected):
    assert normalise(text) == expected


@given(st.text())
def test_a_folded_text_is_the_case_folded_one_with_an_origin_a_character(text):
    folded = fold(text)

    assert folded.text == text.casefold()
    assert len(folded.origins) == len(folded.text)
    assert list(folded.origins) == sorted(folded.origins)


@given(st.text(min_size=1), st.data())
def test_an_original_span_folds_to_a_text_that_holds_the_match(text, data):
    folded = fold(text)
    start = data.draw(st.integers(0, len(folded.text) - 1))
    end = data.draw(st.integers(start + 1, len(folded.text)))

    first, last = folded.original_span(start, end)

    assert folded.text[start:end] in text[first:last].casefold()


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (1, 1), (0, 4), (2, 1)])
def test_an_empty_or_foreign_span_is_refused(start, end):
    with pytest.raises(ValueError, match="expected 0 <= start < end <= 3"):
        fold("red").original_span(start, end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T-shirt 2XL, 红色", ("t", "shirt", "2xl", "红", "色")),
        ("Crème brûlée", ("crème", "brûlée")),
        ("कपड़ा", (unicodedata.normalize("NFC", "कपड़ा"),)),
        ("さくら3本", ("さ", "く", "ら", "3", "本")),
        ("... !", ()),
    ],
)
def test_words_are_runs_of_letters_marks_and_digits(text, expected):
    assert words(text) == expected


def test_scripts_without_spaces_are_known():
    assert all(is_unspaced(c) for c in "红さカ한ไ")
    assert not any(is_unspaced(c) for c in "aé9д 、")
