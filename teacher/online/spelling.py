"""Corrects a query word the catalogue has never seen to one it has: typo tolerance.

Only queries are corrected: shops mostly spell their own goods as they mean them.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from rapidfuzz import process
from rapidfuzz.distance import OSA

from teacher.online.words import Word

_SHORTEST = 4  # shorter words have too many neighbours
_SHORT = 5  # below this only a dropped letter is mended: "case" is no slip for "cast"
_LONG = 9  # from this length on two slips are forgiven, else one
_SEEN = 3  # items that must use a word before anything is corrected to it


class Speller:
    """Knows the catalogue's words and the lexicon's terms."""

    def __init__(self, frequencies: Mapping[str, int], known: frozenset[str]) -> None:
        self._known = known | frequencies.keys()
        self._by_opening: dict[str, list[str]] = defaultdict(list)
        for word in sorted(known | {w for w, n in frequencies.items() if n >= _SEEN}):
            if len(word) >= _SHORTEST and word.isalpha():
                self._by_opening[word[0]].append(word)

    def corrected(self, word: Word) -> Word:
        """`word`, its stem replaced by the nearest known one if it is a likely slip."""
        stem = word.stem
        if stem in self._known or len(stem) < _SHORTEST or not stem.isalpha():
            return word
        slips = 2 if len(stem) >= _LONG else 1
        nearest = process.extractOne(
            stem, self._by_opening[stem[0]], scorer=OSA.distance, score_cutoff=slips
        )
        is_likely = nearest and (len(stem) >= _SHORT or len(nearest[0]) > len(stem))
        return replace(word, stem=nearest[0]) if nearest and is_likely else word
