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
        self._inclusions = frozenset(small_words["inclusions"])
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

    def positions(self, said: Sequence[Word]) -> frozenset[int]:
        """The words that belong to a negation."""
        return frozenset(at for s in self.scopes(said) for at in range(s.start, s.stop))

    def absent(self, said: Sequence[Word]) -> dict[str, tuple[int, int]]:
        """Every stem the text says is not there, -less words included, and where it says so."""
        found = {stem: scope.span for scope in self.scopes(said) for stem in scope.negated}
        for word in said:
            if base := base_of_less(word.stem):
                found[base] = (word.start, word.end)
        return found

    def included(self, *texts: Sequence[Word]) -> frozenset[str]:
        """Every stem the texts say comes with the item ("with lid")."""
        return frozenset(
            stem
            for said in texts
            for at, word in enumerate(said)
            if word.stem in self._inclusions
            for stem in self._scope(said, range(at, self._reach(said, at, _REACH_BACK))).negated
        )

    def _after(self, said: Sequence[Word], at: int) -> Scope | None:
        """Without, no, not: the next words up to a preposition."""
        if said[at].stem not in self._negations:
            return None
        end = self._reach(said, at, _REACH)
        return self._scope(said, range(at, end))

    def _reach(self, said: Sequence[Word], at: int, reach: int) -> int:
        """Where the words after `at` end that belong to it: at a preposition or punctuation."""
        end = at + 1
        while (
            end < min(at + 1 + reach, len(said))
            and said[end].stem not in self._ends
            and not said[end].follows_break(said[end - 1])
        ):
            end += 1
        return end

    def _before(self, said: Sequence[Word], at: int, start: int) -> Scope | None:
        """Free, sold separately: the words before, back to a preposition."""
        for form in self._suffixes:
            end = at + len(form)
            if at > start and tuple(word.stem for word in said[at:end]) == form:
                reach = 1 if len(form) == 1 else _REACH_BACK
                first = at
                while (
                    first > max(start, at - reach)
                    and said[first - 1].stem not in self._ends
                    and not said[first].follows_break(said[first - 1])
                ):
                    first -= 1
                return self._scope(said, range(first, end), denying=form)
        return None

    def _scope(self, said: Sequence[Word], reach: range, denying: tuple[str, ...] = ()) -> Scope:
        """A scope whose denying words are its last, `denying`, or else its first."""
        inner = reach[: -len(denying)] if denying else reach[1:]
        stems_negated = tuple(said[at].stem for at in inner if said[at].stem not in self._stop)
        span = (said[reach.start].start, said[reach.stop - 1].end)
        return Scope(reach.start, reach.stop, span, stems_negated)


def base_of_less(stem: str) -> str | None:
    """What a -less word denies: "stemless" has no stem; None for other words."""
    base = stem.removesuffix("less")
    is_denial = base != stem and len(base) >= _SHORTEST_BASE and stem not in _NOT_ABSENCE
    return base if is_denial else None
