"""Terms as people list them, value by value, in the form a lexicon finds them by.

What a catalogue says by itself is `mine_lexicon.py`'s.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from teacher.online.words import stem, stems


def term_key(text: str) -> str:
    """What a term is found by: its stems, joined by blanks."""
    return " ".join(stems(text))


def terms_of(values: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Terms of an aspect from values with their forms."""
    return {term_key(form): value for value, forms in values.items() for form in forms}


def with_synonyms(
    known: Mapping[str, Sequence[str]], listed: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Each term → the others that say the same: those `known` and those of each list."""
    found = defaultdict(set, {term: set(others) for term, others in known.items()})
    for first, others in listed.items():
        same = {term_key(term) for term in (first, *others)}
        for term in same:
            found[term] |= same - {term}
    return {term: tuple(sorted(others)) for term, others in sorted(found.items())}


def stemmed(listed: Sequence[str]) -> tuple[str, ...]:
    """Single words are compared by stem; phrases are split where they are used."""
    return tuple(stem(word) if len(stems(word)) == 1 else word for word in listed)
