"""Ages in numbers become age groups, where they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.text import normalise
from teacher.online.ages import age_mentions


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("gift for 1 year old", {"toddler"}),
        ("toys for 5-7 year olds", {"child"}),
        ("romper 3-6 months", {"baby"}),
        ("onesie 0 to 24 months", {"baby", "toddler"}),
        ("puzzle, ages 2-4", {"toddler", "child"}),
        ("game for ages 8+", {"child", "teenager"}),
        ("chapter book 16 yr old", {"teenager"}),
        ("适合3-6岁", {"child"}),
        ("6个月宝宝", {"baby"}),
        ("sippy cup 4 years and up", {"child"}),
        ("lamp 24 oz, 5 year warranty", set()),
        ("6 month supply", set()),
        ("iphone 12 case, pack of 3", set()),
        ("2 cages", set()),
    ],
)
def test_a_text_speaks_of_age_groups(text: str, groups: set[str]) -> None:
    assert {mention.value for mention in age_mentions(text)} == groups


@given(st.text(alphabet="0123456789 -–toagesyrld+months岁个月至", max_size=30))
def test_an_age_reads_back_from_its_place(raw: str) -> None:
    text = normalise(raw)

    for mention in age_mentions(text):
        assert mention.span is not None
        assert text[slice(*mention.span)] == mention.text
        assert mention.text == mention.text.strip()
