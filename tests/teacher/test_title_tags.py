"""Values become tags of words and come back from them."""

from hypothesis import given
from hypothesis import strategies as st

from relevance.text import normalise
from teacher.annotated_titles import compared
from teacher.online.words import words
from teacher.title_tags import tags_of, tags_of_values, values_of_tags

ASPECTS = st.sampled_from(["brand", "color", "style"])
WORD = st.sampled_from(["Acme", "Women's", "T-Shirt", "24oz", "U.S.", "straße", "红色", "&"])


@st.composite
def valued_titles(draw: st.DrawFn) -> tuple[str, dict[str, list[str]]]:
    """A title whose words are all different, cut into runs, some of them an aspect's value."""
    said = draw(st.lists(WORD, min_size=1, max_size=8, unique=True))
    values: dict[str, list[str]] = {}
    at = 0
    while at < len(said):
        length = draw(st.integers(1, 3))
        text = " ".join(said[at : at + length])
        if aspect := draw(st.none() | ASPECTS):
            values.setdefault(aspect, []).append(text)
        at += length
    return normalise(" ".join(said)), values


@given(valued_titles())
def test_what_is_tagged_comes_back_as_written(
    made: tuple[str, dict[str, list[str]]],
) -> None:
    title, values = made
    said = words(title)

    found = values_of_tags(title, said, tags_of_values(title, said, values))

    wanted = {a: frozenset(filter(None, texts)) for a, texts in compared(values).items()}
    assert compared(found) == {a: texts for a, texts in wanted.items() if texts}


@given(st.lists(st.sampled_from(["O", *tags_of("color", 2), *tags_of("style", 2)]), max_size=8))
def test_any_tags_give_values_that_share_no_word(tags: list[str]) -> None:
    title = " ".join(f"w{n}" for n in range(len(tags)))

    found = values_of_tags(title, words(title), tags)

    said = [word for texts in found.values() for text in texts for word in text.split()]
    assert len(said) == len(set(said))
    assert sum(map(len, found.values())) == sum(tag.startswith("B-") for tag in tags)


def test_the_longest_value_is_marked_first_and_each_place_once() -> None:
    title = "Red Bull Red"

    tags = tags_of_values(title, words(title), {"color": ["Red", "blue"], "brand": ["Red Bull"]})

    assert tags == ["B-brand", "I-brand", "B-color"]
