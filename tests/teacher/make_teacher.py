"""A hand-made shop of a few dozen items, and a judge fitted on its labels in a moment."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from relevance.domain import Item
from relevance.folds import assign_folds
from relevance.records import Pair
from teacher.fit_fold import FoldData, fit_fold
from teacher.mine_lexicon import mine_lexicon
from teacher.online.item_reading import ItemReader
from teacher.online.lexicon import Lexicon
from teacher.online.query_reading import QueryReader
from teacher.online.readings import ItemReading, QueryReading
from teacher.online.signals import Signals
from teacher.signal_files import SignalTable

COLOURS = ("Red", "Blue", "Green", "Black")
BRANDS = ("Norvane", "Tuskar", "Ellisby")
GOODS = {
    "Water Bottle": "Kitchen > Drinkware > Water Bottles",
    "Backpack": "Luggage > Bags > Backpacks",
    "Desk Lamp": "Home > Lighting > Desk Lamps",
    "Running Shoe": "Clothing > Shoes > Running Shoes",
}


COPIES = len(GOODS) + 1  # one for the queries of each good, one that no query is judged with


def catalogue() -> tuple[Item, ...]:
    """Every good in every colour of every brand, several times."""
    return tuple(
        Item(
            item_id=f"{good}-{brand}-{colour}-{copy}",
            title=f"{brand} {good}, {colour}, 710 ml",
            brand=brand,
            color=colour,
            category_path=path,
            bullet_points=f"A {good.lower()} for every day.",
            attributes=(("Closure", "Zipper" if brand == "Tuskar" else "Buttons"),),
        )
        for good, path in GOODS.items()
        for brand in BRANDS
        for colour in COLOURS
        for copy in range(COPIES)
    )


def labelled_pairs() -> tuple[Pair, ...]:
    """Each colour of each good asked for; Good where both agree."""
    return tuple(_pairs())


def fold_data(*, fold: int = 0) -> FoldData:
    """What a fold is fitted on, without similarities."""
    items = {item.item_id: item for item in catalogue()}
    pairs = labelled_pairs()
    return FoldData(items, pairs, assign_folds(pairs), fold)


def signals_of(pairs: Iterable[Pair]) -> SignalTable:
    """Two cosines and a student's log-odds that know something of the label."""
    rows = {
        (p.query, p.item_id): Signals(
            {"cosine_text": 0.3 + 0.2 * bool(p.good), "cosine_title": 0.2 + 0.1 * (n % 3)},
            {"colbert": 2.0 * bool(p.good) - (n % 4)},
        )
        for n, p in enumerate(pairs)
    }
    return SignalTable(("cosine_text", "cosine_title"), ("colbert",), rows)


def lexicon(*more: Item) -> Lexicon:
    """The hand-made shop's lexicon, with some more items."""
    return mine_lexicon((*catalogue(), *more))


def read_query(query: str) -> QueryReading:
    """A query as the hand-made shop reads it."""
    return QueryReader(lexicon()).read(query)


def read_item(item: Item) -> ItemReading:
    """An item as the hand-made shop reads it."""
    return ItemReader(lexicon()).read(item)


def make_item(title: str, **fields: object) -> Item:
    """An item with just what a test speaks of."""
    return Item("an item", title, **fields)  # type: ignore[arg-type]


def written_judge(folder: Path) -> Path:
    """A judge fitted on the hand-made shop."""
    fit_fold(fold_data(), folder)
    return folder


def written_seeing_judge(folder: Path) -> Path:
    """The same, fitted with signals."""
    data = fold_data()
    fit_fold(replace(data, signals=signals_of(data.pairs)), folder)
    return folder


def _pairs() -> Iterator[Pair]:
    for copy, good in enumerate(GOODS):
        judged = [item for item in catalogue() if item.item_id.endswith(f"-{copy}")]
        for colour in COLOURS:
            query = f"{colour.lower()} {good.lower()}"
            for item in judged:
                same_good, same_colour = item.item_id.startswith(good), item.color == colour
                if same_good or same_colour:
                    yield Pair(query, item.item_id, same_good and same_colour)
