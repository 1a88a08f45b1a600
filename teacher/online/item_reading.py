"""Reads an item: what its title and fields offer, once per item.

Only the title has spans: it is the text a student sees, so evidence points into it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from relevance.domain import Item
from relevance.text import normalise
from teacher.online.departments import department_of
from teacher.online.lexicon import Lexicon
from teacher.online.negation import Negations, base_of_less
from teacher.online.phrases import Phrases
from teacher.online.quantities import QuantityFinder
from teacher.online.readings import EXCLUSIVE, ItemReading, Mention, Span
from teacher.online.terms import TermFinder
from teacher.online.words import Word, stems, words

_LONGEST_FIELD = 4000  # characters of bullets and of description that are read
_OWN_FIELDS = ("category", "product", "brand")  # read from their fields, not from the title


def all_stems(item: Item) -> frozenset[str]:
    """Every stem that any field of the item says."""
    texts = (item.title, *_short_fields(item), *_long_fields(item))
    return frozenset(found for text in texts for found in stems(text))


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

    def read(self, item: Item) -> ItemReading:
        """Everything `item` offers."""
        title = normalise(item.title)
        said = words(title)
        scopes = self._negations.scopes(said)
        denied = frozenset(at for scope in scopes for at in range(scope.start, scope.stop))
        mentions = self._terms.find(title, said, skip=denied)
        companions = self._phrases.companions(said, mentions)
        beside = denied | {at for c in companions for at in range(c.start, c.stop)}
        product, _ = self._phrases.product(title, said, mentions, beside)
        attributes = {
            name: self._attribute(name, value) for name, value in item.attributes if value
        }
        fields = " | ".join(_short_fields(item))
        loose = " | ".join(_long_fields(item))
        loose_words = words(loose)
        absent = {**dict.fromkeys(self._denied(loose_words)), **self._denied(said)}
        return ItemReading(
            item_id=item.item_id,
            title=title,
            words=said,
            positions=_positions(said, beside),
            fields=frozenset(stems(fields)),
            text=frozenset([*stems(title), *stems(fields), *(word.stem for word in loose_words)]),
            offers=self._offers(item, mentions, attributes),
            hints=frozenset((m.aspect, m.value) for m in self._terms.find(loose, loose_words)),
            attributes=attributes,
            quantities=self._quantities.find(title),
            field_quantities=self._quantities.find(f"{fields} | {loose}"),
            absent=absent,
            brand=_brand(item, attributes),
            product=self._own_product(item, attributes) or product,
            kinds=self._kinds(item, mentions, attributes),
            companions={said[at].stem: c.span for c in companions for at in range(c.start, c.stop)},
            department=department_of(item.category_path),
        )

    def _denied(self, said: Sequence[Word]) -> dict[str, Span]:
        """Every stem a text says is not there, and where it says so."""
        found = {s: scope.span for scope in self._negations.scopes(said) for s in scope.negated}
        for word in said:
            if base := base_of_less(word.stem):
                found[base] = (word.start, word.end)
        return found

    def _own_product(self, item: Item, attributes: Mapping[str, Mention]) -> Mention | None:
        """The product the shop's own fields name: an attribute, or the last step of the category."""
        leaf = item.category_path.split(">")[-1].strip()
        key = " ".join(stems(leaf))
        named = next((m for m in attributes.values() if m.aspect == "product"), None)
        return named or (Mention("product", key, leaf) if key in self._kinds_known else None)

    def _kinds(
        self, item: Item, mentions: Sequence[Mention], attributes: Mapping[str, Mention]
    ) -> frozenset[str]:
        """The product of the shop's own fields; where they are silent, those the title names."""
        own = self._own_product(item, attributes)
        named = [m.value for m in mentions if m.aspect == "product"]
        return frozenset([own.value] if own else named)

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
            yield from self._within("color", item.color)
        path = item.category_path
        for mention in self._terms.find(path, words(path)):
            if mention.aspect in ("gender", "age", "season"):
                yield _spanless(mention, mention.text)

    def _within(self, aspect: str, field: str) -> list[Mention]:
        """The values of an aspect in its own field; they are shown as the field says them."""
        finder = self._field_terms.get(aspect)
        found = finder.find(field, words(field)) if finder else []
        return [_spanless(mention, field) for mention in found]

    def _attribute(self, name: str, value: str) -> Mention:
        key = " ".join(stems(name))
        aspect = self._attributes.get(key, "other")
        known = self._within(aspect, value)
        return known[0] if known else Mention(aspect, attribute_value(key, aspect, value), value)


def _short_fields(item: Item) -> Iterator[str]:
    yield from (item.brand, item.color, item.category_path)
    for name, value in item.attributes:
        yield f"{name} {value}"


def _long_fields(item: Item) -> tuple[str, str]:
    return item.bullet_points[:_LONGEST_FIELD], item.description[:_LONGEST_FIELD]


def _positions(said: Sequence[Word], beside: AbstractSet[int]) -> dict[str, tuple[int, ...]]:
    places: dict[str, list[int]] = defaultdict(list)
    for at, word in enumerate(said):
        if at not in beside:
            places[word.stem].append(at)
    return {stem: tuple(found) for stem, found in places.items()}


def _brand(item: Item, attributes: Mapping[str, Mention]) -> Mention | None:
    if item.brand and stems(item.brand):
        return Mention("brand", " ".join(stems(item.brand)), normalise(item.brand))
    return next((m for m in attributes.values() if m.aspect == "brand"), None)


def _spanless(mention: Mention, text: str) -> Mention:
    return Mention(mention.aspect, mention.value, text)
