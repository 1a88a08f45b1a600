"""Mines a lexicon from a catalogue: what this shop's words mean, counted from its own fields.

No label is read, and no item of the outer test fold: the caller leaves those out, so that nothing
here can know them. General English comes from `vocabularies.toml`.
"""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

from relevance.aspects import OTHER
from relevance.domain import Item
from relevance.errors import BadInput
from teacher.listed_terms import stemmed, term_key, terms_of, with_synonyms
from teacher.online.departments import department_of
from teacher.online.item_reading import ItemReader, all_stems, attribute_value, category_names
from teacher.online.lexicon import Department, Lexicon, Terms, Unit
from teacher.online.phrases import Phrases
from teacher.online.readings import Mention
from teacher.online.terms import TermFinder
from teacher.online.words import is_unspaced, stems, words

VOCABULARIES = Path(__file__).with_name("vocabularies.toml")
_WORDS_OF_A_DEPARTMENT = 400
_FEWEST = 2  # what one item alone says is no vocabulary
_KIN_LIFT = 5.0  # times chance at which two kinds of goods count as kin; a guess
_LONGEST_TERM = 4  # words
_LONGEST_UNSPACED = 8  # characters, of scripts where each is a word
_SHORTEST_SHORT_NAME = 4  # letters of a brand's first word that may stand for the brand; a guess
_PURITY = 0.5  # share of a name's items that must carry it in the field, else it is a plain word
_MOST_VALUES = 0.5  # distinct values per item; an attribute every item words anew is no vocabulary


def mine_lexicon(items: Sequence[Item], *, vocabularies: Path = VOCABULARIES) -> Lexicon:
    """The lexicon of a catalogue."""
    if not items:
        raise BadInput("mining a lexicon: expected at least one item, got none")
    known = tomllib.loads(vocabularies.read_text(encoding="utf-8"))
    curated = {aspect: terms_of(values) for aspect, values in known["terms"].items()}
    small_words = {name: stemmed(listed) for name, listed in known["words"].items()}
    attributes = {
        term_key(n): aspect for aspect, names in known["attributes"].items() for n in names
    }
    frequencies = Counter(chain.from_iterable(all_stems(item) for item in items))
    phrases = Phrases({}, small_words)
    products = _products(items)
    heads = {**_heads(items, phrases), **{name.split()[-1]: 1.0 for name in products}}
    mined = [
        ("brand", _named(_pure((i.brand for i in items), frequencies, items, fewest=1))),
        ("brand", _named(_pure(map(_short_name, items), frequencies, items, fewest=_FEWEST))),
        ("color", _named(_pure((i.color for i in items), frequencies, items, fewest=_FEWEST))),
        *_attribute_values(items, attributes),
        ("product", products),
        ("category", _categories(items)),
    ]
    lexicon = Lexicon(
        documents=len(items),
        document_frequencies={w: n for w, n in sorted(frequencies.items()) if n >= _FEWEST},
        terms=_joined(curated, mined, barred=frozenset(small_words["stop"])),
        field_terms={aspect: terms_of(values) for aspect, values in known["field_terms"].items()},
        heads=heads,
        departments=_departments(items),
        units={name: _unit(unit) for name, unit in known["units"].items()},
        counts=known["counts"],
        attributes=attributes,
        words=small_words,
        kin={},
        synonyms=with_synonyms({}, known["synonyms"]),
    )
    return replace(lexicon, kin=_kin(lexicon, items))


def _pure(
    fields: Iterable[str], frequencies: Mapping[str, int], items: Sequence[Item], *, fewest: int
) -> set[str]:
    """The field's values that are names: where the shop says them, it mostly means the field.

    A brand called "Touch" is left out in a shop full of touch screens.
    """
    carried = Counter(key for field in fields if (key := term_key(field)))
    finder = TermFinder({"name": {key: key for key in carried}})
    spoken = Counter(
        mention.value
        for item in items
        for mention in {m.value: m for m in _mentions(finder, item)}.values()
    )
    return {
        name
        for name, n in carried.items()
        if n >= fewest and _is_term(name) and n >= _PURITY * _said(name, frequencies, spoken)
    }


def _said(name: str, frequencies: Mapping[str, int], spoken: Mapping[str, int]) -> int:
    """Items that say a name: of one word anywhere, of several in the title."""
    return spoken[name] if " " in name else frequencies.get(name, 0)


def _mentions(finder: TermFinder, item: Item) -> list[Mention]:
    return finder.find(item.title, words(item.title))


def _short_name(item: Item) -> str:
    """The first word of a brand of several: a shopper's "muse" is Muse Garden."""
    first, _, others = item.brand.partition(" ")
    return first if others and len(first) >= _SHORTEST_SHORT_NAME else ""


def _products(items: Sequence[Item]) -> dict[str, str]:
    """What the shop calls its kinds of goods: the last steps of its category paths."""
    last = Counter(leaf for item in items if (leaf := _leaf(item)))
    inner = {term_key(step) for item in items for step in item.category_path.split(">")[:-1]}
    return _named(leaf for leaf, n in last.items() if n >= _FEWEST and leaf not in inner)


def _categories(items: Sequence[Item]) -> dict[str, str]:
    """The wider steps of category paths, each of their parts by itself."""
    counts = Counter(name for item in items for name in category_names(item.category_path))
    return _named(name for name, n in counts.items() if n >= _FEWEST)


def _kin(lexicon: Lexicon, items: Sequence[Item]) -> dict[str, dict[str, float]]:
    """Kinds of goods that one item is often called by at once: a couch is a sofa.

    Counted where a title says one and the category another; kept where that is far more than
    chance, with the share of the rarer kind's items that are both.
    """
    reader = ItemReader(lexicon)
    goods = lexicon.terms["product"].keys()
    named = [reader.kinds(item) & goods for item in items]
    single = Counter(kind for kinds in named for kind in kinds)
    both = Counter(pair for kinds in named for pair in combinations(sorted(kinds), 2))
    kin: dict[str, dict[str, float]] = defaultdict(dict)
    for (one, other), n in sorted(both.items()):
        by_chance = single[one] * single[other] / len(items)
        if n >= _FEWEST and n >= _KIN_LIFT * by_chance:
            share = round(n / min(single[one], single[other]), 4)
            kin[one][other] = kin[other][one] = share
    return dict(kin)


def _leaf(item: Item) -> str:
    """The last step of a category path; a department alone is no kind of goods."""
    return term_key(item.category_path.split(">")[-1]) if ">" in item.category_path else ""


def _heads(items: Sequence[Item], phrases: Phrases) -> dict[str, float]:
    titles = Counter(s for item in items for s in set(stems(item.title)))
    ends = Counter(phrase[-1] for item in items if (phrase := phrases.leading_stems(item.title)))
    return {s: round(n / titles[s], 4) for s, n in sorted(ends.items()) if n >= _FEWEST}


def _attribute_values(
    items: Sequence[Item], attributes: Mapping[str, str]
) -> list[tuple[str, dict[str, str]]]:
    """Each attribute's repeated values, under the aspect its name speaks to."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        for name, value in item.attributes:
            counts[term_key(name)][term_key(value)] += 1
    found = []
    for name, values in sorted(counts.items()):
        aspect = attributes.get(name, OTHER)
        known = name in attributes  # then even what one item says is that aspect's value
        if known or len(values) <= _MOST_VALUES * values.total():
            fewest = 1 if known else _FEWEST
            common = sorted(v for v, n in values.items() if n >= fewest and _is_term(v))
            found.append((aspect, {v: attribute_value(name, aspect, v) for v in common}))
    return found


def _departments(items: Sequence[Item]) -> dict[str, Department]:
    sizes: Counter[str] = Counter()
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        if name := department_of(item.category_path):
            sizes[name] += 1
            used[name].update(set(stems(f"{item.title} {item.category_path}")))
    return {
        name: Department(size, dict(used[name].most_common(_WORDS_OF_A_DEPARTMENT)))
        for name, size in sorted(sizes.items())
    }


def _joined(
    curated: Terms, mined: Iterable[tuple[str, Mapping[str, str]]], *, barred: frozenset[str]
) -> dict[str, dict[str, str]]:
    """Curated terms, then mined ones that no earlier source has claimed.

    But for brands, a term that holds a curated word is left out: "black white" is two colours.
    """
    terms = {aspect: dict(forms) for aspect, forms in curated.items()}
    known = frozenset(form for forms in curated.values() for form in forms)
    claimed = known | barred
    for aspect, forms in mined:
        new = {
            form: value
            for form, value in forms.items()
            if form not in claimed
            and _is_term(form)
            and (aspect == "brand" or known.isdisjoint(form.split()))
        }
        claimed |= new.keys()
        terms.setdefault(aspect, {}).update(new)
    return terms


def _named(forms: Iterable[str]) -> dict[str, str]:
    """Terms that are their own values."""
    return {form: form for form in sorted(forms)}


def _is_term(key: str) -> bool:
    """Whether running text can be searched for it: short, and more than a number or letter."""
    parts = key.split()
    if all(map(is_unspaced, parts)):
        return 1 < len(parts) <= _LONGEST_UNSPACED
    return 0 < len(parts) <= _LONGEST_TERM and any(len(p) > 2 and p.isalpha() for p in parts)


def _unit(unit: Mapping[str, object]) -> Unit:
    forms = unit["forms"]
    assert isinstance(forms, list)
    factors = {name: float(str(factor)) for name, factor in unit.items() if name != "forms"}
    return Unit(tuple(forms), factors)
