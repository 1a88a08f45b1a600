"""What was read in a query and in an item: the values that matching and features work on.

No reading is done here, see `query_reading.py` and `item_reading.py`. Spans are characters of the
normalised query or title; what stands in another field has no span.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from teacher.online.quantities import Quantity
from teacher.online.words import Word

Span = tuple[int, int]
EXCLUSIVE = frozenset({"color", "material", "gender", "age", "season"})  # one value denies others


@dataclass(frozen=True, slots=True)
class Mention:
    """A value of an aspect, as written (`text`) and as compared (`value`)."""

    aspect: str
    value: str
    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class QueryReading:
    """Everything the query asks for.

    `asks` are in query order and never overlap `absent` (what must not be there). `weights` are
    the idf of its distinct content words, `head` the word that says what the thing is, `accessory`
    the one that asks for a part or an addition.
    `departments` is the probability of every category node given the query's words. `same` holds
    for a content word the terms that say it as well: synonyms, and itself joined with a neighbour;
    `measured` the quantity that a content word is part of.
    """

    text: str
    words: tuple[Word, ...]
    asks: tuple[Mention, ...]
    quantities: tuple[Quantity, ...]
    absent: tuple[Mention, ...]
    head: Word | None
    accessory: Mention | None
    weights: Mapping[str, float]
    departments: Mapping[str, float]
    same: Mapping[str, tuple[str, ...]]
    measured: Mapping[str, Quantity]


@dataclass(frozen=True, slots=True)
class ItemReading:
    """Everything the item offers.

    `positions` are the places of each stem the title offers among its words: neither what it denies
    (`absent`) nor what the item only goes with (`companions`, "case for iphone"; both with their
    place in the title). `fields` are the stems of brand, colour, category and attributes, `text`
    those of every field. `offers` come from title and those short fields, `hints` from bullets and
    description, which mention much in passing. `kinds` are the products the item counts as,
    `present` what it says to come with. `joined` are neighbours of the title written as one word,
    `head` is the stem that says what the title is about, `accessory` what makes the item a part or
    an addition.
    """

    item_id: str
    title: str
    words: tuple[Word, ...]
    positions: Mapping[str, tuple[int, ...]]
    fields: frozenset[str]
    text: frozenset[str]
    offers: Mapping[str, tuple[Mention, ...]]
    hints: frozenset[tuple[str, str]]
    attributes: Mapping[str, Mention]
    quantities: tuple[Quantity, ...]
    field_quantities: tuple[Quantity, ...]
    absent: Mapping[str, Span | None]
    present: frozenset[str]
    brand: Mention | None
    product: Mention | None
    kinds: frozenset[str]
    companions: Mapping[str, Span]
    department: str
    joined: frozenset[str]
    head: str
    accessory: Mention | None
