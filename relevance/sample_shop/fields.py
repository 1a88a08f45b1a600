"""Writes an item's structured fields from the truth, with a catalogue's faults.

Each value is stated plainly, veiled in a synonym or paraphrase, absent, or wrong. Titles are
written in `titles.py`; what is hidden in the end is measured in `hidden_values.py`.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from relevance.domain import Item
from relevance.sample_shop.latent_items import LatentItem
from relevance.sample_shop.titles import Title
from relevance.sample_shop.vocabulary import Value, Vocabulary
from relevance.sample_shop.wording import opened


class Statement(StrEnum):
    """How the fields treat one value.

    PLAIN: by its usual name. VEILED: by a seller's word or a paraphrase. ABSENT: not at all.
    WRONG: another value of the facet stands there.
    """

    PLAIN = "plain"
    VEILED = "veiled"
    ABSENT = "absent"
    WRONG = "wrong"


_WEIGHTS_WHERE_TITLE_SPEAKS = (0.53, 0.22, 0.20, 0.05)  # in the order of Statement
_WEIGHTS_WHERE_TITLE_IS_SILENT = (0.60, 0.34, 0.03, 0.03)
_NOT_WRITTEN = ("category", "role")
_DECOY, _COMPANION = 0.16, 0.16  # shares of descriptions that name what the item is not


@dataclass(slots=True)
class _Fields:
    """The fields of one item while they are being filled."""

    brand: str = ""
    color: str = ""
    leaf: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    bullets: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def write_fields(item: LatentItem, title: Title, vocabulary: Vocabulary, random: Random) -> Item:
    """The item as the shop's catalogue has it."""
    fields = _Fields()
    category = vocabulary.categories[item.product.category]
    for facet in item.values:
        if facet not in _NOT_WRITTEN:
            _state(facet, item, facet in title.stated, fields, vocabulary, random)
    for puff in random.sample(category.puffs, random.randint(1, 3)):
        fields.bullets.append(opened(puff))
    _name_neighbours(item, fields, vocabulary, random)
    random.shuffle(fields.bullets)
    random.shuffle(fields.sentences)
    phrases = vocabulary.phrases
    description = [
        random.choice(phrases.openers),
        *fields.sentences,
        random.choice(phrases.closers),
    ]
    path = [category.root, category.leaf, fields.leaf][: 1 if random.random() < 0.1 else 3]
    return Item(
        item_id=item.item_id,
        title=title.text,
        brand=fields.brand,
        color=fields.color,
        category_path=" > ".join(part for part in path if part),
        description=" ".join(description) if random.random() < 0.95 or fields.sentences else "",
        bullet_points=". ".join(fields.bullets),
        attributes=tuple(fields.attributes.items()),
    )


def attributes_json(item: Item) -> str:
    """The attributes as the catalogue file holds them."""
    return json.dumps(dict(item.attributes), ensure_ascii=False) if item.attributes else ""


def _state(
    facet: str,
    item: LatentItem,
    in_title: bool,
    fields: _Fields,
    vocabulary: Vocabulary,
    random: Random,
) -> None:
    value = item.values[facet]
    weights = _WEIGHTS_WHERE_TITLE_SPEAKS if in_title else _WEIGHTS_WHERE_TITLE_IS_SILENT
    statement = random.choices(tuple(Statement), weights)[0]
    if value.quiet and random.random() < 0.5:
        return
    if statement is Statement.WRONG:
        _write(facet, _other(facet, item, vocabulary, random).name, fields, vocabulary, random)
    elif statement is Statement.PLAIN:
        _write(facet, random.choice((value.name, value.asked[0])), fields, vocabulary, random)
    elif statement is Statement.VEILED:
        _veil(facet, value, fields, vocabulary, random)


def _veil(
    facet: str, value: Value, fields: _Fields, vocabulary: Vocabulary, random: Random
) -> None:
    if value.told and random.random() < 0.6:
        told = opened(random.choice(value.told))
        if random.random() < 0.5:
            fields.bullets.append(told)
        else:
            fields.sentences.append(f"{told}.")
    elif value.said:
        _write(facet, random.choice(value.said), fields, vocabulary, random)


def _write(facet: str, words: str, fields: _Fields, vocabulary: Vocabulary, random: Random) -> None:
    """Into the column of its own, the attributes, a bullet or a sentence."""
    definition = vocabulary.facets[facet]
    label, sentence = opened(words), opened(random.choice(definition.sentences).format(words))
    if not definition.key:
        setattr(fields, {"product": "leaf"}.get(facet, facet), label)
        if random.random() < 0.3:
            fields.bullets.append(sentence)
    elif random.random() < 0.5:
        fields.attributes[random.choice(definition.key)] = label
    elif random.random() < 0.6:
        fields.bullets.append(sentence)
    else:
        fields.sentences.append(f"{sentence}.")


def _other(facet: str, item: LatentItem, vocabulary: Vocabulary, random: Random) -> Value:
    """Another value that somebody could have filled in by mistake."""
    category = vocabulary.categories[item.product.category]
    siblings = [vocabulary.products[name].value for name in item.product.siblings]
    choices = {
        "brand": category.brands,
        "product": siblings,
        "store": vocabulary.phrases.stores,
    }.get(facet, item.product.facets.get(facet, ()))
    others = [value for value in choices if value != item.values.get(facet)]
    return random.choice(others) if others else Value("see label", ("see label",))


def _name_neighbours(
    item: LatentItem, fields: _Fields, vocabulary: Vocabulary, random: Random
) -> None:
    """Mentions that are true of the shop and not of this item."""
    phrases = vocabulary.phrases
    if random.random() < _DECOY:
        facet = random.choice(list(item.product.facets))
        other = _other(facet, item, vocabulary, random)
        fields.sentences.append(random.choice(phrases.decoys).format(random.choice(other.asked)))
    if random.random() < _COMPANION:
        sibling = random.choice(item.product.siblings)
        fields.sentences.append(random.choice(phrases.companions).format(sibling))
