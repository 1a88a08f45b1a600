"""The truth about every item: its latent values, from which titles, fields and labels follow.

Items come in lines: one maker's model in several colours and sizes. How an item is described is
not decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from relevance.sample_shop.config import ShopConfig
from relevance.sample_shop.vocabulary import Product, Value, Vocabulary, invented_value

MAIN = Value("main product", ("main product",))
ACCESSORY = Value("accessory", ("accessory",))
ITEMS_PER_PRODUCT = 25  # a smaller shop sells fewer products instead of one item of each
_WITHOUT_GENDER = ("baby", "toddler", "kids")
_RANK_DECAY = 0.45  # the n-th value of a product's list is n^-0.45 as usual as the first


@dataclass(frozen=True, slots=True, eq=False)
class LatentItem:
    """What an item truly is: facet → value. An absent facet does not apply to it."""

    item_id: str
    product: Product
    line: int
    values: Mapping[str, Value]


def make_latent_items(config: ShopConfig, vocabulary: Vocabulary) -> tuple[LatentItem, ...]:
    """`config.items` items, in shuffled order of their lines."""
    random = Random(f"{config.seed}/items")
    products = _assortment(config, vocabulary, random)
    drawn: list[tuple[Product, int, dict[str, Value]]] = []
    line = 0
    while len(drawn) < config.items:
        product = products[line] if line < len(products) else _weighted(products, random)
        shared = _line_values(product, vocabulary, random)
        for values in _variants(product, shared, vocabulary, random):
            drawn.append((product, line, values))
        line += 1
    random.shuffle(drawn)
    return tuple(LatentItem(f"S{number:06d}", *drawn[number]) for number in range(config.items))


def pick(values: Sequence[Value], random: Random) -> Value:
    """One value, the first most likely."""
    weights = [(rank + 1) ** -_RANK_DECAY for rank in range(len(values))]
    return random.choices(values, weights)[0]


def _assortment(config: ShopConfig, vocabulary: Vocabulary, random: Random) -> list[Product]:
    """Whole departments until there are enough products for this many items."""
    wanted = max(6, config.items // ITEMS_PER_PRODUCT)
    departments = list(vocabulary.categories)
    random.shuffle(departments)
    chosen: list[Product] = []
    for department in departments:
        if len(chosen) < wanted:
            chosen += [p for p in vocabulary.products.values() if p.category == department]
    return chosen


def _weighted(products: Sequence[Product], random: Random) -> Product:
    return random.choices(products, [product.weight for product in products])[0]


def _line_values(product: Product, vocabulary: Vocabulary, random: Random) -> dict[str, Value]:
    category = vocabulary.categories[product.category]
    values = {
        "product": product.value,
        "category": category.value,
        "role": ACCESSORY if product.accessory_of else MAIN,
        "brand": pick(category.brands, random),
        "store": pick(vocabulary.phrases.stores, random),
    }
    if random.random() < product.model:
        values["model"] = _model(vocabulary, random)
    for facet, choices in product.facets.items():
        if not vocabulary.facets[facet].varies:
            values[facet] = pick(choices, random)
    if values.get("age") and values["age"].name in _WITHOUT_GENDER:
        values.pop("gender", None)  # too young for the men's department
    return values


def _model(vocabulary: Vocabulary, random: Random) -> Value:
    letters, number = (
        random.choice(vocabulary.phrases.model_letters),
        random.randrange(10, 100) * 10,
    )
    return invented_value(f"{letters}-{number}", f"{letters}{number}")


def _variants(
    product: Product, shared: dict[str, Value], vocabulary: Vocabulary, random: Random
) -> list[dict[str, Value]]:
    """Two to six distinct items of one line; one where nothing varies."""
    varying = [name for name in product.facets if vocabulary.facets[name].varies]
    found: dict[tuple[str, ...], dict[str, Value]] = {}
    for _ in range(random.randint(2, 6) if varying else 1):
        values = dict(shared)
        for facet in varying:
            values[facet] = pick(product.facets[facet], random)
        found[tuple(values[facet].name for facet in varying)] = values
    return list(found.values())
