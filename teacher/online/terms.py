"""Finds a lexicon's terms in a text: longest first, never two on one word."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from teacher.online.lexicon import Terms
from teacher.online.readings import Mention
from teacher.online.words import Word


class TermFinder:
    """Knows the terms of some aspects; one term may speak to several (boys: gender and age)."""

    def __init__(self, terms: Terms) -> None:
        self._meanings: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for aspect, forms in terms.items():
            for form, value in forms.items():
                self._meanings[form].append((aspect, value))
        self._openings: dict[str, int] = {}  # first stem → most words a term starting so has
        for form in self._meanings:
            parts = form.split(" ")
            self._openings[parts[0]] = max(self._openings.get(parts[0], 0), len(parts))

    def find(
        self, text: str, said: Sequence[Word], *, skip: AbstractSet[int] = frozenset()
    ) -> list[Mention]:
        """The mentions in `text`, whose words are `said`; words at `skip` belong to others."""
        found: list[Mention] = []
        at = 0
        while at < len(said):
            end = self._longest(said, at, skip)
            found += self._mentions(text, said, at, end)
            at = max(end, at + 1)
        return found

    def _longest(self, said: Sequence[Word], at: int, skip: AbstractSet[int]) -> int:
        """Where the longest term starting at word `at` ends; `at` itself where none starts."""
        reach = min(self._openings.get(said[at].stem, 0), len(said) - at)
        for length in range(reach, 0, -1):
            form = " ".join(word.stem for word in said[at : at + length])
            if form in self._meanings and skip.isdisjoint(range(at, at + length)):
                return at + length
        return at

    def _mentions(self, text: str, said: Sequence[Word], at: int, end: int) -> Iterator[Mention]:
        if end > at:
            span = (said[at].start, said[end - 1].end)
            form = " ".join(word.stem for word in said[at:end])
            for aspect, value in self._meanings[form]:
                yield Mention(aspect, value, text[span[0] : span[1]], span)
