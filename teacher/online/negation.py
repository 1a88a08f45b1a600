"""What a text says is not there: "without laces", "bpa free", "lid sold separately", "stemless"."""

from collections import defaultdict
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
        self._forms: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for negation in small_words["negations"]:
            form = tuple(stems(negation))
            self._forms[form[0]].append(form)
        self._suffixes = [tuple(stems(form)) for form in small_words["negation_suffixes"]]
        self._suffixes += [(suffix,) for suffix in small_words["absence_suffixes"]]
        self._suffix_openings = frozenset(form[0] for form in self._suffixes)
        self._spared = [tuple(stems(form)) for form in small_words["not_absences"]]
        self._inclusions = frozenset(small_words["inclusions"])
        self._stop = frozenset(small_words["stop"])
        self._ends = frozenset(small_words["scope_ends"]) | self._forms.keys()

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
            for stem in self._scope(
                said, range(at, self._reach(said, at, _REACH_BACK)), denying=1
            ).negated
        )

    def _after(self, said: Sequence[Word], at: int) -> Scope | None:
        """Without, no, not: the next words up to a preposition."""
        length = self._negation_length(said, at)
        if not length or self._is_spared(said, at):
            return None
        reach = length if said[at].is_unspaced else _REACH  # 无糖, 不带吸管
        end = self._reach(said, at + length - 1, reach)
        return self._scope(said, range(at, end), denying=length)

    def _negation_length(self, said: Sequence[Word], at: int) -> int:
        """How many words the negation that begins here has; 0 for none. 不带 is one of two."""
        stem = said[at].stem
        return max((len(f) for f in self._forms.get(stem, ()) if _begins(said, at, f)), default=0)

    def _is_spared(self, said: Sequence[Word], at: int) -> bool:
        """Whether the word begins one that denies nothing: non-stick, 无线 (wireless)."""
        return any(_begins(said, at, form) for form in self._spared)

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
        if said[at].stem not in self._suffix_openings:
            return None
        for form in self._suffixes:
            end = at + len(form)
            if at > start and _begins(said, at, form):
                reach = 1 if len(form) == 1 else _REACH_BACK
                first = at
                while (
                    first > max(start, at - reach)
                    and said[first - 1].stem not in self._ends
                    and not said[first].follows_break(said[first - 1])
                ):
                    first -= 1
                return self._scope(said, range(first, end), denying=-len(form))
        return None

    def _scope(self, said: Sequence[Word], reach: range, *, denying: int) -> Scope:
        """A scope whose first (or, below 0, last) `denying` words deny the others."""
        inner = reach[denying:] if denying > 0 else reach[:denying]
        stems_negated = tuple(said[at].stem for at in inner if said[at].stem not in self._stop)
        span = (said[reach.start].start, said[reach.stop - 1].end)
        return Scope(reach.start, reach.stop, span, stems_negated)


def _begins(said: Sequence[Word], at: int, form: tuple[str, ...]) -> bool:
    return tuple(word.stem for word in said[at : at + len(form)]) == form


def base_of_less(stem: str) -> str | None:
    """What a -less word denies: "stemless" has no stem; None for other words."""
    base = stem.removesuffix("less")
    is_denial = base != stem and len(base) >= _SHORTEST_BASE and stem not in _NOT_ABSENCE
    return base if is_denial else None
