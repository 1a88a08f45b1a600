"""The one way an item becomes the text an encoder sees.

The template's name stands in every bundle; training, refresh and inline scoring all come here.
"""

from collections.abc import Callable
from enum import StrEnum

from relevance.domain import Item
from relevance.evidence import find_occurrences
from relevance.text import normalise


class ItemText(StrEnum):
    """What the encoder reads of an item.

    TITLE: the title alone (the paper's setting). TITLE_BRAND_COLOR: title, then brand and colour
    where the words before do not say them already. TITLE_BRAND_COLOR_BULLETS: the same, then the
    first bullet points, up to `BULLET_CHARACTERS` of them; it wants 64 tokens rather than 32.
    """

    TITLE = "title"
    TITLE_BRAND_COLOR = "title_brand_color"
    TITLE_BRAND_COLOR_BULLETS = "title_brand_color_bullets"


BULLET_CHARACTERS = 160  # some thirty tokens of English: what 64 leave after a title


def item_text(item: Item, template: ItemText) -> str:
    """The normalised text of `item`; empty where the item has no text at all.

    >>> item_text(Item("1", "Oak  desk", brand="Acme", color="oak"), ItemText.TITLE_BRAND_COLOR)
    'Oak desk Acme'
    """
    parts = [normalise(item.title)]
    for read in _EXTRA_PARTS[template]:
        value = read(item)
        if value and not find_occurrences(" ".join(parts), value):
            parts.append(value)
    return " ".join(part for part in parts if part)


def _first_bullets(item: Item) -> str:
    """Whole words from the start of the bullet points; the start itself where there are none.

    Lines do not count: an item that is sent along has lost them to normalisation already.
    """
    text = normalise(item.bullet_points)
    if len(text) <= BULLET_CHARACTERS:
        return text
    words, space, _ = text[: BULLET_CHARACTERS + 1].rpartition(" ")
    return words if space else text[:BULLET_CHARACTERS]


_Part = Callable[[Item], str]
_BRAND_COLOR: tuple[_Part, ...] = (
    lambda item: normalise(item.brand),
    lambda item: normalise(item.color),
)
_EXTRA_PARTS: dict[ItemText, tuple[_Part, ...]] = {
    ItemText.TITLE: (),
    ItemText.TITLE_BRAND_COLOR: _BRAND_COLOR,
    ItemText.TITLE_BRAND_COLOR_BULLETS: (*_BRAND_COLOR, _first_bullets),
}
