"""The one way an item becomes the text an encoder sees.

The template's name stands in every bundle; training, refresh and inline scoring all come here.
"""

from enum import StrEnum

from relevance.domain import Item
from relevance.evidence import find_occurrences
from relevance.text import normalise


class ItemText(StrEnum):
    """What the encoder reads of an item.

    TITLE: the title alone (the paper's setting). TITLE_BRAND_COLOR: title, then brand and colour
    where the words before do not say them already.
    """

    TITLE = "title"
    TITLE_BRAND_COLOR = "title_brand_color"


def item_text(item: Item, template: ItemText) -> str:
    """The normalised text of `item`; empty where the item has no text at all.

    >>> item_text(Item("1", "Oak  desk", brand="Acme", color="oak"), ItemText.TITLE_BRAND_COLOR)
    'Oak desk Acme'
    """
    parts = [normalise(item.title)]
    for field in _EXTRA_FIELDS[template]:
        value = normalise(getattr(item, field))
        if value and not find_occurrences(" ".join(parts), value):
            parts.append(value)
    return " ".join(part for part in parts if part)


_EXTRA_FIELDS: dict[ItemText, tuple[str, ...]] = {
    ItemText.TITLE: (),
    ItemText.TITLE_BRAND_COLOR: ("brand", "color"),
}
