"""Which items a shopper is shown for a query, and which of them are what was wanted.

The label is the latent truth; the annotator's noise comes on top. What is written about a pair
stands in `gold.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from relevance.sample_shop.latent_items import LatentItem
from relevance.sample_shop.queries import Need, ShopQuery
from relevance.sample_shop.vocabulary import Vocabulary

_GOOD_SHARE = (0.36, 0.62)  # drawn per query, independent of its kind
_SHOWN = (0.65, 1.6)  # times the mean
_RANDOM_SHARE = 0.16  # of the Bad ones; the others are near misses
_FEWEST = 2  # items of each class a query needs


@dataclass(frozen=True, slots=True)
class ShownPair:
    """A query with an item it was shown; `true_good` before noise, `good` after."""

    query: ShopQuery
    item: LatentItem
    true_good: bool
    good: bool


@dataclass(frozen=True, slots=True)
class Shelves:
    """The items by product and by category, so that a query looks at few of them."""

    items: Sequence[LatentItem]
    by_product: Mapping[str, tuple[LatentItem, ...]]
    by_category: Mapping[str, tuple[LatentItem, ...]]


def make_shelves(items: Sequence[LatentItem]) -> Shelves:
    """Sort the items onto their shelves."""
    products: dict[str, list[LatentItem]] = {}
    categories: dict[str, list[LatentItem]] = {}
    for item in items:
        products.setdefault(item.product.value.name, []).append(item)
        categories.setdefault(item.product.category, []).append(item)
    return Shelves(
        items,
        {name: tuple(found) for name, found in products.items()},
        {name: tuple(found) for name, found in categories.items()},
    )


def violated(query: ShopQuery, item: LatentItem, vocabulary: Vocabulary) -> tuple[Need, ...]:
    """The needs this item leaves open. A value it lacks is one, unless the facet is tolerant."""
    return tuple(need for need in query.needs if not _satisfied(need, item, vocabulary))


def answers(query: ShopQuery, shelves: Shelves, vocabulary: Vocabulary) -> list[LatentItem]:
    """All items that satisfy every need."""
    return [i for i in _shelf(query, shelves, vocabulary) if not violated(query, i, vocabulary)]


def shown_pairs(
    query: ShopQuery, shelves: Shelves, vocabulary: Vocabulary, mean_shown: int, random: Random
) -> list[tuple[LatentItem, bool]]:
    """A search engine's mixture of matches, near misses and chance; empty where a class lacks."""
    good, near = (
        answers(query, shelves, vocabulary),
        _near_misses(query, shelves, vocabulary, random),
    )
    if len(good) < _FEWEST or len(near) < _FEWEST:
        return []
    share = random.uniform(*_GOOD_SHARE)
    wanted = mean_shown * random.uniform(*_SHOWN)
    matches = random.sample(good, min(len(good), max(_FEWEST, round(wanted * share))))
    misses = near[: max(_FEWEST, round(len(matches) * (1 - share) / share))]
    for at in range(len(misses)):
        if random.random() < _RANDOM_SHARE:
            misses[at] = _stranger(query, shelves, vocabulary, random, misses)
    shown = [(item, True) for item in matches] + [(item, False) for item in misses]
    random.shuffle(shown)
    return shown


def label_pairs(
    query: ShopQuery, shown: Sequence[tuple[LatentItem, bool]], noise: float, random: Random
) -> list[ShownPair]:
    """The pairs as an annotator labels them."""
    return [ShownPair(query, item, good, good != (random.random() < noise)) for item, good in shown]


def _satisfied(need: Need, item: LatentItem, vocabulary: Vocabulary) -> bool:
    offered = item.values.get(need.facet)
    if offered is None:
        return vocabulary.facets[need.facet].tolerant
    return offered.serves(need.value)


def _asked(query: ShopQuery, facet: str) -> str | None:
    return next((need.value.name for need in query.needs if need.facet == facet), None)


def _shelf(query: ShopQuery, shelves: Shelves, vocabulary: Vocabulary) -> Sequence[LatentItem]:
    product = _asked(query, "product")
    if product is not None:
        return shelves.by_product[product]
    category = _asked(query, "category") or _maker_category(query, vocabulary)
    return shelves.by_category[category]


def _near_misses(
    query: ShopQuery, shelves: Shelves, vocabulary: Vocabulary, random: Random
) -> list[LatentItem]:
    """Items that fail, those with fewest faults most often first."""
    pool = list(_neighbourhood(query, shelves, vocabulary, random))
    faults = {item.item_id: len(violated(query, item, vocabulary)) for item in pool}
    pool = [item for item in pool if faults[item.item_id]]
    name = _asked(query, "product")
    keys = {
        item.item_id: faults[item.item_id] + _distance(item, name) + random.gauss(0.0, 0.9)
        for item in pool
    }
    return sorted(pool, key=lambda item: keys[item.item_id])


def _distance(item: LatentItem, asked: str | None) -> float:
    """How far from the asked product a search engine sees this, in faults."""
    if asked is None or item.product.value.name == asked:
        return 0.0
    return -0.3 if item.product.accessory_of == asked else 0.3


def _neighbourhood(
    query: ShopQuery, shelves: Shelves, vocabulary: Vocabulary, random: Random
) -> list[LatentItem]:
    """The same product, its siblings and accessories; another department for a category."""
    name = _asked(query, "product")
    if name is not None:
        product = vocabulary.products[name]
        parts = [p.value.name for p in vocabulary.products.values() if p.accessory_of == name]
        names = (name, *product.siblings, *parts)
        pool = {i.item_id: i for n in names for i in shelves.by_product.get(n, ())}
    else:
        category = _asked(query, "category") or _maker_category(query, vocabulary)
        pool = {item.item_id: item for item in shelves.by_category.get(category, ())}
        if category and _asked(query, "category"):
            pool.update({i.item_id: i for i in random.sample(shelves.items, min(80, len(pool)))})
    if len(pool) < 2 * _FEWEST:
        pool.update(
            {i.item_id: i for i in random.sample(shelves.items, min(20, len(shelves.items)))}
        )
    return list(pool.values())


def _maker_category(query: ShopQuery, vocabulary: Vocabulary) -> str:
    brand = _asked(query, "brand")
    makers = {b.name: name for name, c in vocabulary.categories.items() for b in c.brands}
    return makers.get(brand or "", "")


def _stranger(
    query: ShopQuery,
    shelves: Shelves,
    vocabulary: Vocabulary,
    random: Random,
    taken: Sequence[LatentItem],
) -> LatentItem:
    """Any item that does not answer the query and is not shown yet."""
    while True:
        item = random.choice(shelves.items)
        if item not in taken and violated(query, item, vocabulary):
            return item
