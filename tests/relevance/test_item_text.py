"""The text an encoder sees: what each template adds, and that nothing is said twice."""

import pytest

from relevance.domain import Item
from relevance.item_text import ItemText, item_text
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


@EVERY_TEMPLATE
def test_an_items_text_is_normalised(template):
    text = item_text(Item("1", "Ｏak\u200b", brand=" A\ncme ", color="\t"), template)

    assert text == normalise(text)


@EVERY_TEMPLATE
def test_an_item_without_words_has_no_text(template):
    assert item_text(Item("1", " \u200b"), template) == ""
