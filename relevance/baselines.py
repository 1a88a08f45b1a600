"""Lexical baselines: what a shop has without any model. Higher is better; no probabilities.

BM25's word frequencies come from a catalogue that the caller has freed of held-out items.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from relevance.domain import Item
from relevance.records import Pair
from relevance.text import words

K1, B = 1.2, 0.75  # Robertson & Zaragoza (2009), and every search engine's default


@dataclass(frozen=True, slots=True)
class BM25:
    """How many titles hold each word, how many titles there are, and their mean length in words.

    Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework" (2009), with Lucene's
    idf = log(1 + (N − n + ½) / (n + ½)), which is never negative.
    """

    holding: Mapping[str, int]
    titles: int
    mean_length: float

    def score(self, query: str, title: str) -> float:
        """Σ over the query's words of idf · tf (k₁ + 1) / (tf + k₁ (1 − b + b · length / mean))."""
        found = words(title)
        counts = Counter(found)
        damped = K1 * (1 - B + B * len(found) / max(self.mean_length, 1e-9))
        return sum(
            self.idf(word) * counts[word] * (K1 + 1) / (counts[word] + damped)
            for word in words(query)
            if counts[word]
        )

    def idf(self, word: str) -> float:
        """How telling a word is."""
        holding = self.holding.get(word, 0)
        return log(1 + (self.titles - holding + 0.5) / (holding + 0.5))


def fit_bm25(titles: Iterable[str]) -> BM25:
    """Count words over titles."""
    holding: Counter[str] = Counter()
    count = length = 0
    for title in titles:
        found = words(title)
        holding.update(set(found))
        count, length = count + 1, length + len(found)
    return BM25(holding, count, length / max(1, count))


def token_overlap(query: str, title: str) -> float:
    """Share of the query's words that stand in the title: the baseline everyone has."""
    asked, offered = words(query), set(words(title))
    return sum(word in offered for word in asked) / max(1, len(asked))


def baseline_scores(
    pairs: Sequence[Pair], catalogue: Mapping[str, Item], *, held_out: frozenset[str]
) -> dict[str, np.ndarray]:
    """`overlap` and `bm25` of every pair; BM25 counts no word of the `held_out` items."""
    titles = {item_id: item.title for item_id, item in catalogue.items()}
    bm25 = fit_bm25(title for item_id, title in titles.items() if item_id not in held_out)
    return {
        "overlap": np.array([token_overlap(p.query, titles[p.item_id]) for p in pairs]),
        "bm25": np.array([bm25.score(p.query, titles[p.item_id]) for p in pairs]),
    }
