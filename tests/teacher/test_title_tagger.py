"""A tagger learns from marked titles where the values of other titles begin and end."""

from collections.abc import Sequence

import pytest

from relevance.errors import BadInput
from teacher.annotated_titles import AnnotatedTitle, sharpened
from teacher.online.title_values import TitleReader
from teacher.online.words import words
from teacher.title_tagger import TitleTagger, shape_of, word_features
from tests.teacher.make_teacher import lexicon

NAMES = ("Alka", "Brono", "Cestel", "Dravo", "Elmi Co", "Fenn Bay", "Gora", "Hult Ora")
COLOURS = ("red", "teal", "navy blue", "light grey")


def marked() -> list[AnnotatedTitle]:
    return [
        AnnotatedTitle(
            f"{name}-{colour}",
            f"{name} - Cup in {colour}, {n + 2} oz",
            {"brand": (name,), "color": (colour,), "other": (f"{n + 2} oz",)},
        )
        for n, name in enumerate(NAMES)
        for colour in COLOURS
    ]


KNOWN = lexicon()


def reader_of(titles: Sequence[AnnotatedTitle]) -> TitleReader:
    return sharpened(KNOWN, titles)


@pytest.fixture(scope="module")
def tagger() -> TitleTagger:
    return TitleTagger.taught(marked(), reader_of)


def test_what_nobody_marked_is_found_by_its_place(tagger: TitleTagger) -> None:
    found = tagger.values("Zorbex Quell - Cup in burnt umber, 97 oz")

    assert found == {"brand": ["Zorbex Quell"], "color": ["burnt umber"], "other": ["97 oz"]}


def test_the_same_marks_teach_the_same_tagger(tagger: TitleTagger) -> None:
    title = "Iverna - Cup in dark red, 12 oz"

    assert TitleTagger.taught(marked(), reader_of).values(title) == tagger.values(title)


@pytest.mark.parametrize("title", ["", "...", "  "])
def test_a_title_without_words_has_no_values(tagger: TitleTagger, title: str) -> None:
    assert tagger.values(title) == {}


def test_a_few_titles_teach_nothing() -> None:
    with pytest.raises(BadInput, match="at least 5 marked titles, got 4"):
        TitleTagger.taught(marked()[:4], reader_of)


def test_a_titles_words_are_read_by_terms_of_others_marks() -> None:
    asked = []

    def noting(titles: Sequence[AnnotatedTitle]) -> TitleReader:
        asked.append({title.item_id for title in titles})
        return reader_of(titles)

    TitleTagger.taught(marked(), noting)

    *parts, whole = asked
    assert whole == {title.item_id for title in marked()}
    assert all(sum(name not in part for part in parts) == 1 for name in whole)


def test_a_words_features_name_its_neighbours_and_what_stands_between() -> None:
    title = "Acme, Red Cup"

    acme, red, cup = word_features(title, words(title), [])

    assert {"before:^", "after:,", "0:word=acme", "1:word=red", "-1:none"} <= set(acme)
    assert {"before:,", "after:", "-1:word=acme", "0:pair=red cup", "2:none"} <= set(red)
    assert {"after:$", "-2:shape=Xx", "1:none"} <= set(cup)
    assert shape_of("WH-1000xm4") == "X-9x9"
