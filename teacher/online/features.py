"""A pair as a fixed vector of named numbers, grouped in families.

Allowed here is what the query and the item say. Never: labels, ids, subsets, query sources,
ratings, the order of rows, or whether a field is filled; a test guards this list.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from relevance.aspects import aspect_names
from relevance.domain import Verdict
from teacher.online.grounding import Grounded, title_spans
from teacher.online.matching import accessory_unasked, same_group, same_name
from teacher.online.readings import ItemReading, QueryReading

_MOST = 2  # verdicts of one kind that count
_OPENING = 8  # title words; what a shop says first matters most


# Each feature with its sign: +1 can only speak for a pair, -1 only against it, 0 either. So no
# reason can be turned into its opposite by a few hundred labels.
_SIGN_OF = {Verdict.MATCH: 1, Verdict.MISMATCH: -1, Verdict.MISSING: -1}
_VERDICTS = {f"{aspect}_{v}": _SIGN_OF[v] for aspect in aspect_names() for v in Verdict}
_WORDS = {
    "title_coverage": 1,
    "text_coverage": 1,
    "title_missing_words": -1,
    "text_missing_words": -1,
    "largest_title_missing_idf": -1,
    "largest_text_missing_idf": -1,
    "all_words_in_title": 1,
    "no_word_in_title": -1,
    "pairs_in_title": 1,
    "head_in_title": 1,
    "head_in_fields": 1,
    "first_word_in_title": 1,
    "words_in_title_opening": 1,
    "numbers_missing": -1,
    "title_head_asked": 1,
}
_CATEGORY = {
    "department_affinity": 1,
    "department_probability": 1,
    "department_is_likeliest": 1,
    "kinship": 1,
    "kind_differs": -1,
}
_AGREEMENT = {
    "brand_field_differs": -1,
    "color_field_differs": -1,
    "attribute_differs": -1,
    "accessory_unasked": -1,
    "main_unasked": -1,
}
_NEGATION = {
    "absences_asked": 0,
    "absences_told": 1,
    "absent_in_title": -1,
    "absent_in_text": -1,
}
_LENGTHS = {"query_words": 0, "title_words": 0, "mean_idf": 0, "largest_idf": 0}

# Numbers that all items of a query share: they can't rank them, and a few hundred queries are too
# few to learn from them how many of a query's items are Good. Judges of before read them.
QUERY_ALONE = ("absences_asked", "query_words", "mean_idf", "largest_idf")

FAMILIES: Mapping[str, Mapping[str, int]] = {
    "aspects": _VERDICTS,
    "words": _WORDS,
    "category": _CATEGORY,
    "agreement": _AGREEMENT,
    "negation": _NEGATION,
    "lengths": _LENGTHS,
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the catalogue as a whole says of a pair.

    `affinity` is how at home the query's words are in the item's department, `kinship` how much
    the asked kind of goods is one of the item's.
    """

    affinity: float
    kinship: float


def feature_names(families: Sequence[str]) -> tuple[str, ...]:
    """The names of some families' features, in their fixed order."""
    return tuple(name for family in families for name in FAMILIES[family])


def signs(families: Sequence[str]) -> tuple[int, ...]:
    """The sign each of these features' weights may have; 0 where either will do."""
    return tuple(sign for family in families for sign in FAMILIES[family].values())


def features(
    query: QueryReading,
    item: ItemReading,
    grounded: Sequence[Grounded],
    corpus: Corpus,
) -> Float[np.ndarray, " features"]:
    """The pair's vector, every family in its order."""
    values = [
        *verdict_counts(grounded),
        *_words(query, item),
        *_category(query, item, corpus),
        *_agreement(query, item),
        *_negation(query, item),
        *_lengths(query, item),
    ]
    return np.array(values)


def with_verdicts(
    vector: Float[np.ndarray, " features"], counts: Sequence[float]
) -> Float[np.ndarray, " features"]:
    """A pair's vector as if just these verdicts had been found."""
    changed = vector.copy()
    changed[: len(_VERDICTS)] = counts
    return changed


def verdict_counts(grounded: Sequence[Grounded]) -> list[float]:
    """How often each aspect got each verdict: the family `aspects`, which stands first."""
    counts = dict.fromkeys(_VERDICTS, 0.0)
    for one in grounded:
        name = f"{one.finding.aspect}_{one.finding.verdict}"
        counts[name] = min(counts[name] + 1, _MOST)
    return list(counts.values())


def _words(query: QueryReading, item: ItemReading) -> list[float]:
    weights = query.weights
    total = sum(weights.values()) or 1.0
    in_title = {stem for stem in weights if _title_says(query, item, stem)}
    no_title = [w for stem, w in weights.items() if stem not in in_title]
    no_text = [
        w for stem, w in weights.items() if stem not in in_title and not _says(query, item, stem)
    ]
    content = list(weights)
    head = query.head.stem if query.head else ""
    opening = {word.stem for word in item.words[:_OPENING]}
    return [
        1 - sum(no_title) / total,
        1 - sum(no_text) / total,
        len(no_title),
        len(no_text),
        max(no_title, default=0.0),
        max(no_text, default=0.0),
        float(not no_title),
        float(len(no_title) == len(weights)),
        _adjacent(content, item),
        float(head in item.positions or head in in_title),
        float(head in item.fields),
        float(bool(content) and content[0] in in_title),
        sum(w for stem, w in weights.items() if stem in opening) / total,
        sum(stem.isdigit() and stem not in item.positions for stem in weights),
        float(item.head in weights or any(item.head in same for same in query.same.values())),
    ]


def _title_says(query: QueryReading, item: ItemReading, stem: str) -> bool:
    """Whether the title offers a word, a synonym of it, or it written together or apart."""
    if stem in item.positions or stem in item.joined:
        return True
    if stem in query.measured and any(map(query.measured[stem].equals, item.quantities)):
        return True
    return any(title_spans(item, other) for other in query.same.get(stem, ()))


def _says(query: QueryReading, item: ItemReading, stem: str) -> bool:
    if stem in item.text:
        return True
    if stem in query.measured and any(map(query.measured[stem].equals, item.field_quantities)):
        return True
    return any(item.text.issuperset(other.split()) for other in query.same.get(stem, ()))


def _adjacent(content: Sequence[str], item: ItemReading) -> float:
    """The share of neighbouring query words that are neighbours in the title too."""
    neighbours = list(zip(content, content[1:], strict=False))
    if not neighbours:
        return 0.0
    kept = sum(
        any(at + 1 in item.positions.get(second, ()) for at in item.positions.get(first, ()))
        for first, second in neighbours
    )
    return kept / len(neighbours)


def _category(query: QueryReading, item: ItemReading, corpus: Corpus) -> list[float]:
    """Items without a category get the neutral values of one nothing is known about."""
    kinds = [corpus.kinship, float(bool(item.kinds) and corpus.kinship == 0)]
    if not item.department or not query.departments:
        return [0.0, 0.5, 0.5, *kinds]
    probability = query.departments.get(item.department, 0.0)
    likeliest = float(probability >= max(query.departments.values()))
    return [corpus.affinity, probability, likeliest, *kinds]


def _agreement(query: QueryReading, item: ItemReading) -> list[float]:
    """Where the shop's own fields say something else than what was asked: titles are stuffed."""
    asked: dict[str, set[str]] = {}
    for ask in query.asks:
        asked.setdefault(ask.aspect, set()).add(ask.value)
    brands, colors = asked.get("brand", set()), asked.get("color", set())
    brand = item.brand is not None and not any(same_name(b, item.brand.value) for b in brands)
    offered = {m.value for m in item.offers.get("color", ()) if m.span is None}
    rivals = sum(
        mention.value not in values and any(same_group(mention.value, value) for value in values)
        for mention in item.attributes.values()
        for values in [asked.get(mention.aspect, set())]
    )
    return [
        float(bool(brands) and brand),
        float(bool(colors) and bool(offered) and colors.isdisjoint(offered)),
        min(rivals, _MOST),
        float(accessory_unasked(query, item)),
        float(query.accessory is not None and item.accessory is None),
    ]


def _negation(query: QueryReading, item: ItemReading) -> list[float]:
    told = in_title = in_text = 0
    for ask in query.absent:
        last = ask.value.split()[-1]
        told += last in item.absent
        in_title += last in item.positions and last not in item.absent
        in_text += last in item.text and last not in item.absent
    return [len(query.absent), told, in_title, in_text]


def _lengths(query: QueryReading, item: ItemReading) -> list[float]:
    weights = list(query.weights.values()) or [0.0]
    return [
        math.log1p(len(query.words)),
        math.log1p(len(item.words)),
        sum(weights) / len(weights),
        max(weights),
    ]
