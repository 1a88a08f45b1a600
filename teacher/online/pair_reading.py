"""Reads whole pairs: query and item each once while remembered, then findings and features.

Fitting and judging both come here, so that a judge sees the very features it was fitted on.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from relevance.domain import Item
from teacher.online.departments import DepartmentModel
from teacher.online.features import Corpus, features
from teacher.online.grounding import Grounded
from teacher.online.item_reading import ItemReader
from teacher.online.lexicon import Lexicon
from teacher.online.matching import kinship, match
from teacher.online.query_reading import QueryReader
from teacher.online.readings import ItemReading, QueryReading
from teacher.online.signals import NO_SIGNALS, Signals

_QUERIES_KEPT = 4096  # readings of recent queries
_ITEMS_KEPT = 16384  # and of recent items, tens of kB each


@dataclass(frozen=True, slots=True)
class PairReading:
    """A pair as the judge sees it: what was found, its features, and what others say of it."""

    query: QueryReading
    item: ItemReading
    grounded: tuple[Grounded, ...]
    features: Float[np.ndarray, " features"]
    signals: Signals


class PairReader:
    """Reads pairs with one lexicon; every query and item is read once while it is remembered."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._kin = lexicon.kin
        self._departments = DepartmentModel(lexicon.departments)
        self._read_query = lru_cache(maxsize=_QUERIES_KEPT)(QueryReader(lexicon).read)
        self._read_item = lru_cache(maxsize=_ITEMS_KEPT)(ItemReader(lexicon).read)

    def read(self, query: str, item: Item, signals: Signals = NO_SIGNALS) -> PairReading:
        """The pair's findings and features."""
        asked, offered = self._read_query(query), self._read_item(item)
        grounded = match(asked, offered, self._kin)
        corpus = Corpus(
            affinity=self._departments.affinity(asked.weights, offered.department),
            kinship=max(
                (kinship(a, offered, self._kin) for a in asked.asks if a.aspect == "product"),
                default=0.0,
            ),
        )
        vector = features(asked, offered, grounded, corpus)
        return PairReading(asked, offered, grounded, vector, signals)
