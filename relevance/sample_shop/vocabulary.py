"""Reads a vocabulary folder (`english/`): facets, values, products, categories, phrases.

The files' own comments define their fields. A shop in another language is another folder; what
the words are put to stands in the other modules.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from relevance.errors import BadInput

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a facet, and the words for it. Values are equal when their names are."""

    name: str
    asked: tuple[str, ...] = field(compare=False)
    said: tuple[str, ...] = field(default=(), compare=False)
    told: tuple[str, ...] = field(default=(), compare=False)
    also: frozenset[str] = field(default=frozenset(), compare=False)
    quiet: bool = field(default=False, compare=False)
    negative: bool = field(default=False, compare=False)
    in_title: float | None = field(default=None, compare=False)

    @property
    def words(self) -> tuple[str, ...]:
        """Everything a title may call it."""
        return self.asked + self.said

    def serves(self, asked: "Value") -> bool:
        """Whether who asks for `asked` is content with this."""
        return self.name == asked.name or asked.name in self.also


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing in which two items of a product can differ; fields as in facets.toml."""

    name: str
    aspect: str
    in_title: float
    key: tuple[str, ...]
    sentences: tuple[str, ...]
    varies: bool = False
    tolerant: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """One kind of thing sold; fields as in products.toml."""

    value: Value
    category: str
    siblings: tuple[str, ...]
    facets: Mapping[str, tuple[Value, ...]]
    accessory_of: str | None = None
    model: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Category:
    """One department; fields as in categories.toml."""

    value: Value
    root: str
    leaf: str
    brands: tuple[Value, ...]
    puffs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryKind:
    """One kind of query; fields as in queries.toml."""

    name: str
    weight: float
    ask: tuple[tuple[str, ...], ...]
    product: bool = True
    accessory: bool = False


@dataclass(frozen=True, slots=True)
class Phrases:
    """The connective tissue of listings; fields as in phrases.toml."""

    stores: tuple[Value, ...]
    model_letters: tuple[str, ...]
    trailing: tuple[str, ...]
    closers: tuple[str, ...]
    openers: tuple[str, ...]
    decoys: tuple[str, ...]
    companions: tuple[str, ...]
    abbreviations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All words of one language's shop."""

    facets: Mapping[str, Facet]
    products: Mapping[str, Product]
    categories: Mapping[str, Category]
    kinds: tuple[QueryKind, ...]
    phrases: Phrases


@cache
def read_vocabulary(language: str) -> Vocabulary:
    """The vocabulary shipped under this name; raises `BadInput` where there is none."""
    folder = Path(__file__).with_name(language)
    if not (folder / "facets.toml").is_file():
        raise BadInput(f"sample shop: expected a vocabulary folder, found none named `{language}`")
    values: Table = {}
    for path in sorted(folder.glob("values_*.toml")):
        values.update(_read(path))
    categories = {n: _category(n, row) for n, row in _read(folder / "categories.toml").items()}
    return Vocabulary(
        facets={n: Facet(n, **_tuples(row)) for n, row in _read(folder / "facets.toml").items()},
        products=_products(_read(folder / "products.toml"), values),
        categories=categories,
        kinds=tuple(
            QueryKind(n, **{**row, "ask": tuple(tuple(names) for names in row["ask"])})
            for n, row in _read(folder / "queries.toml").items()
        ),
        phrases=_phrases(_read(folder / "phrases.toml")),
    )


def invented_value(name: str, *more: str) -> Value:
    """A value of names that need no file: a brand, a store, a model number."""
    return Value(name, (name, *more))


def _read(path: Path) -> Table:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _tuples(row: Table) -> Table:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}


def _value(name: str, row: Table) -> Value:
    return Value(name, **{**_tuples(row), "also": frozenset(row.get("also", ()))})


def _named(name: str, row: Table) -> Value:
    """A product or category: its own name is a word for it too."""
    return Value(name, tuple(dict.fromkeys((name, *row["asked"]))), tuple(row["said"]))


def _category(name: str, row: Table) -> Category:
    value = replace(_named(name, row), asked=tuple(row["asked"]))
    brands = tuple(invented_value(brand) for brand in row["brands"])
    return Category(value, row["root"], row["leaf"], brands, tuple(row["puffs"]))


def _products(tables: Table, values: Table) -> dict[str, Product]:
    return {
        name: _product(name, category, row, values)
        for category, rows in tables.items()
        for name, row in rows.items()
    }


def _product(name: str, category: str, row: Table, values: Table) -> Product:
    facets = {
        facet: tuple(_value(v, values[facet][v]) for v in names)
        for facet, names in row["facets"].items()
    }
    return Product(
        value=_named(name, row),
        category=category,
        siblings=tuple(row["siblings"]),
        facets=facets,
        accessory_of=row.get("accessory_of"),
        model=row.get("model", 0.0),
        weight=row.get("weight", 1.0),
    )


def _phrases(row: Table) -> Phrases:
    stores = tuple(invented_value(store) for store in row["stores"])
    return Phrases(**{**_tuples(row), "stores": stores})
