"""Slices of queries that every report shows alike. Measures on them are `metrics.py`'s."""

from relevance.text import words

NEGATIONS = frozenset({"without", "no", "non", "not", "free"})


def negates(query: str) -> bool:
    """Whether a word of the query asks for something to be absent."""
    return not NEGATIONS.isdisjoint(words(query))
