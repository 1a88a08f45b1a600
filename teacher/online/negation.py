"""What a text says is not there: "without laces", "no sugar", "bpa free", "stemless"."""

from collections.abc import Mapping, Sequence

from teacher.online.words import Word

_SCOPE = 3  # words a negation reaches at most: "without led lamp kit"
_SHORTEST_BASE = 4  # letters before -less; spares "unless", "bless"
_NOT_ABSENCE = frozenset({"regardless", "wireless", "stainless", "timeless", "seamless"})


class Negations:
    """Finds negated words by the lexicon's small words."""

    def __init__(self, small_words: Mapping[str, tuple[str, ...]]) -> None:
        self._negations = frozenset(small_words["negations"])
        self._stop = frozenset(small_words["stop"])
        self._ends = frozenset(small_words["scope_ends"]) | self._negations

    def scopes(self, said: Sequence[Word]) -> tuple[range, ...]:
        """For each negation the positions of what it negates and of the negating word.

        The range covers both, so that neither is taken for something asked for.
        """
        found: list[range] = []
        for at, word in enumerate(said):
            if found and at < found[-1].stop:
                continue
            if word.stem in self._negations:
                end = self._end(said, at + 1)
                found += [range(at, end)] if end > at + 1 else []
            elif word.stem == "free" and 0 < at and said[at - 1].stem not in self._ends:
                found.append(range(at - 1, at + 1))
        return tuple(found)

    def negated(self, said: Sequence[Word], scope: range) -> list[Word]:
        """The words of a scope without the one that negates them."""
        is_prefix = said[scope.start].stem in self._negations
        return list(said[scope.start + 1 : scope.stop] if is_prefix else said[scope.start : scope.stop - 1])

    def absent(self, said: Sequence[Word]) -> set[str]:
        """Every stem the text says is not there, -less words included."""
        stems = {w.stem for scope in self.scopes(said) for w in self.negated(said, scope)}
        for word in said:
            base = word.stem.removesuffix("less")
            if base != word.stem and len(base) >= _SHORTEST_BASE and word.stem not in _NOT_ABSENCE:
                stems.add(base)
        return stems - self._stop

    def _end(self, said: Sequence[Word], at: int) -> int:
        end = at
        while end < min(at + _SCOPE, len(said)) and said[end].stem not in self._ends:
            end += 1
        return end
