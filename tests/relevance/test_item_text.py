"""The text an encoder sees: what each template adds, and that nothing is said twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.item_text import BULLET_CHARACTERS, ItemText, item_text
from relevance.text import normalise

EVERY_TEMPLATE = pytest.mark.parametrize("template", ItemText)


def test_the_title_template_reads_the_title_alone():
    item = Item("1", "Oak  desk", brand="Acme", color="white", description="sturdy")

    assert item_text(item, ItemText.TITLE) == "Oak desk"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item("1", "Oak desk", brand="Acme", color="white"), "Oak desk Acme white"),
        (Item("1", "ACME oak desk", brand="Acme", color="Oak"), "ACME oak desk"),
        (Item("1", "Face cream", brand="Ace", color=""), "Face cream Ace"),  # face holds no Ace
        (Item("1", "Desk", brand="Red", color="red"), "Desk Red"),
        (Item("1", "", brand="Acme"), "Acme"),
        (Item("1", ""), ""),
        (Item("1", "书桌", brand="宜家", color="书"), "书桌 宜家"),
    ],
)
def test_brand_and_colour_follow_where_they_were_not_said(item, expected):
    assert item_text(item, ItemText.TITLE_BRAND_COLOR) == expected


BULLETS = "Solid oak from Norway.\nThree drawers that lock"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            Item("1", "Oak desk", "Acme", bullet_points=BULLETS),
            f"Oak desk Acme {normalise(BULLETS)}",
        ),
        (Item("1", "Oak desk", bullet_points="OAK DESK"), "Oak desk"),  # says nothing new
        (Item("1", "", bullet_points="for the study"), "for the study"),
    ],
)
def test_bullet_points_follow_where_they_were_not_said(item, expected):
    assert item_text(item, ItemText.TITLE_BRAND_COLOR_BULLETS) == expected


@given(st.text(max_size=3 * BULLET_CHARACTERS), st.text(max_size=40))
def test_no_more_than_the_first_whole_words_of_the_bullet_points_are_read(bullets, title):
    """The richest text starts with the next one and goes on with whole words of the bullets."""
    item, whole = Item("1", title, bullet_points=bullets), normalise(bullets)

    shorter = item_text(item, ItemText.TITLE_BRAND_COLOR)
    text = item_text(item, ItemText.TITLE_BRAND_COLOR_BULLETS)

    assert text.startswith(shorter)
    read = text[len(shorter) :].removeprefix(" ")
    assert len(read) <= BULLET_CHARACTERS
    assert whole.startswith(read)
    after = whole[len(read) : len(read) + 1]
    assert read == "" or after in ("", " ") or " " not in whole[: BULLET_CHARACTERS + 1]


def test_a_script_without_spaces_is_cut_at_a_character():
    text = item_text(Item("1", "", bullet_points="书" * 500), ItemText.TITLE_BRAND_COLOR_BULLETS)

    assert text == "书" * BULLET_CHARACTERS


@EVERY_TEMPLATE
def test_an_items_text_is_normalised(template):
    item = Item("1", "Ｏak\u200b", brand=" A\ncme ", color="\t", bullet_points="ﬁne\n\nwood")

    text = item_text(item, template)

    assert text == normalise(text)


@EVERY_TEMPLATE
def test_an_item_without_words_has_no_text(template):
    assert item_text(Item("1", " \u200b"), template) == ""
