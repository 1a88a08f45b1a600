"""What a text says is not there: "without laces", "bpa free", "lid sold separately", "stemless"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teacher.online.words import Word, stems

_REACH = 3  # words a negation reaches forward at most: "without led lamp kit"
_REACH_BACK = 2  # words "sold separately" reaches back: "toy car sold separately"
_SHORTEST_BASE = 4  # letters before -less; spares "unless", "bless"
_NOT_ABSENCE = frozenset({"regardless", "wireless", "stainless", "timeless", "seamless"})


@dataclass(frozen=True, slots=True)
class Scope:
    """The words `[start, stop)` of a negation with its negating word, and the stems it denies."""

    start: int
    stop: int
    span: tuple[int, int]
    negated: tuple[str, ...]


class Negations:
    """Finds negated words by the lexicon's small words."""

    def __init__(self, small_words: Mapping[str, tuple[str, ...]]) -> None:
        self._negations = frozenset(small_words["negations"])
        self._suffixes = [tuple(stems(form)) for form in small_words["negation_suffixes"]]
        self._suffixes += [(suffix,) for suffix in small_words["absence_suffixes"]]
        self._stop = frozenset(small_words["stop"])
        self._ends = frozenset(small_words["scope_ends"]) | self._negations

    def scopes(self, said: Sequence[Word]) -> tuple[Scope, ...]:
        """Every negation with what it negates, in order and without overlaps."""
        found: list[Scope] = []
        for at in range(len(said)):
            start = found[-1].stop if found else 0
            scope = self._before(said, at, start) or self._after(said, at)
            if scope and scope.start >= start and scope.negated:
                found.append(scope)
        return tuple(found)

    def _after(self, said: Sequence[Word], at: int) -> Scope | None:
        """Without, no, not: the next words up to a preposition."""
        if said[at].stem not in self._negations:
            return None
        end = at + 1
        while end < min(at + 1 + _REACH, len(said)) and said[end].stem not in self._ends:
            end += 1
        return self._scope(said, range(at, end), said[at + 1 : end])

    def _before(self, said: Sequence[Word], at: int, start: int) -> Scope | None:
        """Free, sold separately: the words before, back to a preposition."""
        for form in self._suffixes:
            end = at + len(form)
            if at > start and tuple(word.stem for word in said[at:end]) == form:
                reach = 1 if len(form) == 1 else _REACH_BACK
                first = at
                while first > max(start, at - reach) and said[first - 1].stem not in self._ends:
                    first -= 1
                return self._scope(said, range(first, end), said[first:at])
        return None

    def _scope(self, said: Sequence[Word], reach: range, negated: Sequence[Word]) -> Scope:
        stems_negated = tuple(word.stem for word in negated if word.stem not in self._stop)
        span = (said[reach.start].start, said[reach.stop - 1].end)
        return Scope(reach.start, reach.stop, span, stems_negated)


def base_of_less(stem: str) -> str | None:
    """What a -less word denies: "stemless" has no stem; None for other words."""
    base = stem.removesuffix("less")
    is_denial = base != stem and len(base) >= _SHORTEST_BASE and stem not in _NOT_ABSENCE
    return base if is_denial else None
