"""Reads an item: what its title and fields offer, once per item.

Only the title has spans: it is the text a student sees, so evidence points into it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from relevance.aspects import OTHER
from relevance.domain import NOT_STATED, Item
from relevance.text import normalise
from teacher.online.ages import age_mentions
from teacher.online.departments import department_of
from teacher.online.lexicon import Lexicon
from teacher.online.negation import Negations
from teacher.online.phrases import Companion, Phrases
from teacher.online.quantities import QuantityFinder
from teacher.online.readings import EXCLUSIVE, ItemReading, Mention, Span
from teacher.online.terms import TermFinder
from teacher.online.words import Word, stems, words

_LONGEST_FIELD = 4000  # characters of bullets and of description that are read
_OWN_FIELDS = ("category", "brand")  # read from their fields, not from the title


def all_stems(item: Item) -> frozenset[str]:
    """Every stem that any field of the item says."""
    texts = (item.title, *_short_fields(item), *_long_fields(item))
    return frozenset(found for text in texts for found in stems(text))


def category_names(category_path: str) -> list[str]:
    """The steps above a path's last one, each of their parts by itself, as compared.

    >>> category_names("Clothing, Shoes & Jewelry > Women > Sandals")
    ['clothing', 'shoe', 'jewelry', 'women']
    """
    steps = category_path.split(">")
    parts = (part for step in steps[:-1] or steps for part in re.split(r"[,&]", step))
    return [name for part in parts if (name := " ".join(stems(part)))]


def attribute_value(name: str, aspect: str, value: str) -> str:
    """An attribute's value as compared: it excludes the other values of its attribute."""
    key = " ".join(stems(value))
    return key if aspect in EXCLUSIVE or aspect in _OWN_FIELDS else f"{name}={key}"


class ItemReader:
    """Reads items with one lexicon; knows nothing of any query."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._attributes = lexicon.attributes
        self._terms = TermFinder(lexicon.terms)
        self._field_terms = {
            aspect: TermFinder({aspect: {**terms, **lexicon.field_terms.get(aspect, {})}})
            for aspect, terms in lexicon.terms.items()
        }
        self._kinds_known = frozenset(lexicon.terms.get("product", {}).values())
        self._quantities = QuantityFinder(lexicon.units, lexicon.counts)
        self._negations = Negations(lexicon.words)
        self._phrases = Phrases(lexicon.heads, lexicon.words)
        self._accessory = frozenset(lexicon.words["accessory"])

    def kinds(self, item: Item) -> frozenset[str]:
        """The kinds of goods an item counts as, without reading its long fields."""
        title = normalise(item.title)
        said = words(title)
        mentions = self._terms.find(title, said, skip=self._negations.positions(said))
        own = self._own_product(item, self._attributes_of(item))
        companions = self._phrases.companions(said, mentions)
        return _kinds(own, mentions, companions) | set(category_names(item.category_path))

    def read(self, item: Item) -> ItemReading:
        """Everything `item` offers."""
        title = normalise(item.title)
        said = words(title)
        attributes = self._attributes_of(item)
        fields, loose = " | ".join(_short_fields(item)), " | ".join(_long_fields(item))
        field_words, loose_words = words(fields), words(loose)
        denied = self._negations.positions(said)
        mentions = [*self._terms.find(title, said, skip=denied), *age_mentions(title)]
        companions = self._phrases.companions(said, mentions)
        beside = denied | {at for c in companions for at in range(c.start, c.stop)}
        own = self._own_product(item, attributes)
        named, head = self._phrases.product(title, said, mentions, beside)
        return ItemReading(
            item_id=item.item_id,
            title=title,
            words=said,
            positions=_positions(said, beside),
            fields=_stems(field_words),
            text=_stems(said) | _stems(field_words) | _stems(loose_words),
            offers=self._offers(item, mentions, attributes),
            hints=frozenset(
                (m.aspect, m.value)
                for m in [*self._terms.find(loose, loose_words), *age_mentions(loose)]
            ),
            attributes=attributes,
            quantities=self._quantities.find(title),
            field_quantities=self._quantities.find(f"{fields} | {loose}"),
            absent=self._absent(said, field_words, loose_words),
            present=self._negations.included(said, field_words, loose_words),
            brand=_brand(item, attributes),
            product=own or named,
            kinds=_kinds(own, mentions, companions) | set(category_names(item.category_path)),
            companions={said[at].stem: c.span for c in companions for at in range(c.start, c.stop)},
            department=department_of(normalise(item.category_path)),
            joined=_joined(said),
            head=head.stem if head else "",
            accessory=self._accessory_of(item, title, head),
        )

    def _accessory_of(self, item: Item, title: str, head: Word | None) -> Mention | None:
        """What makes the item a part or an addition: its title's head, else its kind of goods."""
        if head and head.stem in self._accessory:
            span = (head.start, head.end)
            return Mention("main_or_accessory", head.stem, title[slice(*span)], span)
        leaf = normalise(item.category_path).split(">")[-1].strip()
        found = [stem for stem in stems(leaf) if stem in self._accessory]
        return Mention("main_or_accessory", found[-1], leaf) if found else None

    def _attributes_of(self, item: Item) -> dict[str, Mention]:
        stated = ((name, _stated(value)) for name, value in item.attributes)
        return dict(self._attribute(name, text) for name, text in stated if text)

    def _absent(self, said: Sequence[Word], *fields: Sequence[Word]) -> dict[str, Span | None]:
        """Every stem denied somewhere; where in the title, if it is denied there."""
        hidden = (stem for field in fields for stem in self._negations.absent(field))
        return {**dict.fromkeys(hidden), **self._negations.absent(said)}

    def _own_product(self, item: Item, attributes: Mapping[str, Mention]) -> Mention | None:
        """The product the shop's own fields name: by attribute or by the category's last step."""
        leaf = normalise(item.category_path).split(">")[-1].strip()
        key = " ".join(stems(leaf))
        named = next((m for m in attributes.values() if m.aspect == "product"), None)
        return named or (Mention("product", key, leaf) if key in self._kinds_known else None)

    def _offers(
        self, item: Item, mentions: Sequence[Mention], attributes: Mapping[str, Mention]
    ) -> dict[str, tuple[Mention, ...]]:
        """Values by aspect, the title's first, each value of a source once."""
        offers: dict[str, list[Mention]] = defaultdict(list)
        for mention in [*mentions, *self._field_mentions(item), *attributes.values()]:
            if mention.span is None or mention.aspect not in _OWN_FIELDS:
                offers[mention.aspect].append(mention)
        return {aspect: tuple(values) for aspect, values in offers.items()}

    def _field_mentions(self, item: Item) -> Iterator[Mention]:
        if item.color:
            yield from self._within("color", normalise(item.color))
        path = normalise(item.category_path)
        for mention in self._terms.find(path, words(path)):
            if mention.aspect in ("gender", "age", "season"):
                yield _spanless(mention, mention.text)

    def _within(self, aspect: str, field: str) -> list[Mention]:
        """The values of an aspect in its own field; they are shown as the field says them."""
        finder = self._field_terms.get(aspect)
        found = finder.find(field, words(field)) if finder else []
        return [_spanless(mention, field) for mention in found]

    def _attribute(self, name: str, value: str) -> tuple[str, Mention]:
        key = " ".join(stems(name))
        aspect = self._attributes.get(key, OTHER)
        known = self._within(aspect, value)
        found = Mention(aspect, attribute_value(key, aspect, value), value)
        return key, known[0] if known else found


def _short_fields(item: Item) -> Iterator[str]:
    yield from (item.brand, item.color, item.category_path)
    for name, value in item.attributes:
        yield f"{value} {name}"  # in this order "no" denies its name


def _kinds(
    own: Mention | None, mentions: Sequence[Mention], companions: Sequence[Companion]
) -> frozenset[str]:
    """The products that fields and title name, but for those the item only goes with."""
    named = [
        mention.value
        for mention in mentions
        if mention.aspect == "product" and not any(c.covers(mention.span) for c in companions)
    ]
    return frozenset([*named, own.value] if own else named)


def _joined(said: Sequence[Word]) -> frozenset[str]:
    return frozenset(
        one.stem + two.stem
        for one, two in zip(said, said[1:], strict=False)
        if not two.follows_break(one)
    )


def _stems(said: Sequence[Word]) -> frozenset[str]:
    return frozenset(word.stem for word in said)


def _long_fields(item: Item) -> tuple[str, str]:
    return _one_line(item.bullet_points), _one_line(item.description)


def _stated(field: str) -> str:
    """A short field as one line; nothing where it says in words that it says nothing."""
    text = normalise(field)
    return "" if text == NOT_STATED else text


def _one_line(text: str) -> str:
    """The part of a long field that is read; what is shown of it must be a single line."""
    return " ".join(text[:_LONGEST_FIELD].split())


def _positions(said: Sequence[Word], beside: AbstractSet[int]) -> dict[str, tuple[int, ...]]:
    places: dict[str, list[int]] = defaultdict(list)
    for at, word in enumerate(said):
        if at not in beside:
            places[word.stem].append(at)
    return {stem: tuple(found) for stem, found in places.items()}


def _brand(item: Item, attributes: Mapping[str, Mention]) -> Mention | None:
    name = _stated(item.brand)
    if key := " ".join(stems(name)):
        return Mention("brand", key, name)
    return next((m for m in attributes.values() if m.aspect == "brand"), None)


def _spanless(mention: Mention, text: str) -> Mention:
    return Mention(mention.aspect, mention.value, text)
