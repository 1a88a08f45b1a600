"""What shoppers want and how they type it: needs drawn from the shop, worded, mistyped.

Which items answer a query stands in `pairs.py`; how often it is typed, in `query_log.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from relevance.sample_shop.latent_items import LatentItem
from relevance.sample_shop.vocabulary import QueryKind, Value, Vocabulary
from relevance.sample_shop.wording import mistyped, plural
from relevance.text import normalise

_SAID_SHARE = 0.10  # how often a shopper uses a seller's word, for these facets
_SAID_FACETS = ("product", "category", "color", "material", "look")
_NAME_SHARE = 0.40  # how often the first of the usual words
_TRIES = 40  # items looked at for one that gives a query of a kind
_MISTYPED, _PLURAL, _CAPITALS = 0.10, 0.30, 0.12


@dataclass(frozen=True, slots=True)
class Need:
    """One thing a query asks for: the value meant and the words typed for it."""

    facet: str
    value: Value
    wording: str


@dataclass(frozen=True, slots=True)
class ShopQuery:
    """A normalised query, its kind, what it asks for, and whether a slip is in it."""

    text: str
    kind: str
    needs: tuple[Need, ...]
    mistyped: bool = False


def draw_queries(
    items: Sequence[LatentItem], vocabulary: Vocabulary, random: Random
) -> Iterator[ShopQuery]:
    """Queries without end, each meant for some item of the shop; repeats are possible."""
    weights = [kind.weight for kind in vocabulary.kinds]
    while True:
        kind = random.choices(vocabulary.kinds, weights)[0]
        tries = (_meant(kind, random.choice(items), random) for _ in range(_TRIES))
        meant = next(filter(None, tries), None)
        if meant:
            yield _typed(kind, meant, vocabulary, random)


def _meant(kind: QueryKind, item: LatentItem, random: Random) -> list[tuple[str, Value]]:
    """The facets and values asked for; empty where this item gives no such query."""
    if kind.accessory and item.product.accessory_of is None:
        return []
    asked = [("product", item.values["product"])] if kind.product else []
    for names in kind.ask:
        open_names = [n for n in names if n in item.values and not item.values[n].quiet]
        if not open_names:
            return []
        name = random.choice(open_names)
        asked.append((name, item.values[name]))
    negative = any(value.negative for _, value in asked)
    if (kind.name == "negation" and not negative) or (kind.name == "feature" and negative):
        return []
    return asked


def _typed(
    kind: QueryKind, meant: Sequence[tuple[str, Value]], vocabulary: Vocabulary, random: Random
) -> ShopQuery:
    meant_words = [Need(facet, value, _wording(facet, value, random)) for facet, value in meant]
    needs = [_slipped(need, random) for need in _ordered(meant_words, vocabulary, random)]
    slipped = {n.wording for n in needs} != {n.wording for n in meant_words}
    capitals = random.random() < _CAPITALS
    needs = [
        Need(n.facet, n.value, normalise(n.wording if capitals else n.wording.lower()))
        for n in needs
    ]
    text = " ".join(need.wording for need in needs)
    return ShopQuery(normalise(text), kind.name, tuple(needs), mistyped=slipped)


def _wording(facet: str, value: Value, random: Random) -> str:
    if facet in _SAID_FACETS and value.said and random.random() < _SAID_SHARE:
        words = random.choice(value.said)
    elif random.random() < _NAME_SHARE:
        words = value.asked[0]
    else:
        words = random.choice(value.asked)
    if facet == "product" and random.random() < _PLURAL:
        words = plural(words)
    return words


def _slipped(need: Need, random: Random) -> Need:
    if random.random() >= _MISTYPED / 2:  # a query has about two needs
        return need
    return Need(need.facet, need.value, mistyped(need.wording, random))


def _ordered(needs: Sequence[Need], vocabulary: Vocabulary, random: Random) -> list[Need]:
    """Adjectives, noun, then what cannot stand before a noun; sometimes any order."""
    rest = [need for need in needs if need.facet not in ("product", "category")]
    if not any(need.facet == "model" for need in needs):
        random.shuffle(rest)
    noun = [need for need in needs if need.facet in ("product", "category")]
    behind = [need for need in rest if _stands_behind(need, vocabulary, random)]
    before = [need for need in rest if need not in behind]
    return [*before, *noun, *behind]


def _stands_behind(need: Need, vocabulary: Vocabulary, random: Random) -> bool:
    if need.wording.split()[0].lower() in vocabulary.phrases.trailing:
        return True
    return random.random() < (0.5 if any(c.isdigit() for c in need.wording) else 0.12)
