"""A pair as a fixed vector of named numbers, grouped in families.

Allowed here is what the query and the item say. Never: labels, ids, subsets, query sources,
ratings, the order of rows, or whether a field is filled; a test guards this list.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from relevance.aspects import aspect_names
from relevance.domain import Verdict
from teacher.online.matching import Grounded
from teacher.online.readings import ItemReading, QueryReading

SIMILARITY = "similarity"  # the family only an encoder can give
_MOST = 2  # verdicts of one kind that count
_OPENING = 8  # title words; what a shop says first matters most


@dataclass(frozen=True, slots=True)
class Similarities:
    """What an encoder says of a pair: MaxSim and pooled cosine, with title and with all text."""

    mean_maxsim_title: float
    mean_maxsim_text: float
    cosine_title: float
    cosine_text: float


_VERDICTS = tuple(f"{aspect}_{verdict}" for aspect in aspect_names() for verdict in Verdict)
_WORDS = (
    "title_coverage",
    "text_coverage",
    "title_missing_words",
    "text_missing_words",
    "largest_title_missing_idf",
    "largest_text_missing_idf",
    "all_words_in_title",
    "no_word_in_title",
    "pairs_in_title",
    "head_in_title",
    "head_in_fields",
    "first_word_in_title",
    "words_in_title_opening",
    "numbers_missing",
)
_CATEGORY = (
    "department_affinity",
    "department_probability",
    "department_is_likeliest",
    "kind_is_asked",
    "kind_differs",
)
_NEGATION = ("absences_asked", "absences_told", "absent_in_title", "absent_in_text")
_LENGTHS = ("query_words", "title_words", "mean_idf", "largest_idf")
_SIMILARITY = (
    *(field.name for field in fields(Similarities)),
    "similarity_square",
    "similarity_times_coverage",
    "similarity_title_minus_text",
)

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "aspects": _VERDICTS,
    "words": _WORDS,
    "category": _CATEGORY,
    "negation": _NEGATION,
    "lengths": _LENGTHS,
    SIMILARITY: _SIMILARITY,
}


def feature_names(families: Sequence[str]) -> tuple[str, ...]:
    """The names of some families' features, in their fixed order."""
    return tuple(name for family in families for name in FAMILIES[family])


def features(
    query: QueryReading,
    item: ItemReading,
    grounded: Sequence[Grounded],
    affinity: float,
    similarities: Similarities | None,
) -> Float[np.ndarray, " features"]:
    """The pair's vector, every family in its order; zeros for similarities nobody gave."""
    covered = _words(query, item)
    values = [
        *_verdicts(grounded),
        *covered,
        *_category(query, item, affinity),
        *_negation(query, item),
        *_lengths(query, item),
    ]
    if similarities is None:
        return np.array(values + [0.0] * len(_SIMILARITY))
    return np.array(values + _similarity(similarities, covered[0]))


def _verdicts(grounded: Sequence[Grounded]) -> list[float]:
    counts = dict.fromkeys(_VERDICTS, 0.0)
    for one in grounded:
        name = f"{one.finding.aspect}_{one.finding.verdict}"
        counts[name] = min(counts[name] + 1, _MOST)
    return list(counts.values())


def _words(query: QueryReading, item: ItemReading) -> list[float]:
    weights = query.weights
    total = sum(weights.values()) or 1.0
    no_title = [w for stem, w in weights.items() if stem not in item.positions]
    no_text = [w for stem, w in weights.items() if stem not in item.text]
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
        float(head in item.positions),
        float(head in item.fields),
        float(bool(content) and content[0] in item.positions),
        sum(w for stem, w in weights.items() if stem in opening) / total,
        sum(stem.isdigit() and stem not in item.positions for stem in weights),
    ]


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


def _category(query: QueryReading, item: ItemReading, affinity: float) -> list[float]:
    """Items without a category get the neutral values of one nothing is known about."""
    asked = {ask.value for ask in query.asks if ask.aspect == "product"}
    same, known = bool(asked & item.kinds), bool(asked and item.kinds)
    kinds = [float(same), float(known and not same)]
    if not item.department or not query.departments:
        return [0.0, 0.5, 0.5, *kinds]
    probability = query.departments.get(item.department, 0.0)
    likeliest = float(probability >= max(query.departments.values()))
    return [affinity, probability, likeliest, *kinds]


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


def _similarity(similarities: Similarities, coverage: float) -> list[float]:
    best = similarities.mean_maxsim_text
    return [
        similarities.mean_maxsim_title,
        best,
        similarities.cosine_title,
        similarities.cosine_text,
        best**2,
        best * coverage,
        similarities.mean_maxsim_title - best,
    ]
