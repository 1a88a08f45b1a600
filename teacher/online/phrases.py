"""Finds what a query or title is about: its head noun, and what an accessory goes with.

A rule of English shop language: the leading noun phrase ends before the first preposition or
delimiter, and its last word that usually ends such phrases is the head.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from teacher.online.readings import Mention, Span
from teacher.online.words import Word, stems, words

_DELIMITER = re.compile(r"\s[-–—|:]\s|[,;|(\[]")
_HEADLIKE = 0.1  # share of its titles in which a word must end the leading phrase; a guess
_COMPANIONS = 3  # words after "compatible with" that name what the item goes with; a guess
_LONGEST_MARKER = 3  # words of "replacement for" and the like
_LONGEST_RUN = 4  # characters of an unspaced script that name a product
GOODS = frozenset({"product", "category"})  # both name what the thing is
_PERSONAL = frozenset({"gender", "age", "season"})


@dataclass(frozen=True, slots=True)
class Companion:
    """The words `[start, stop)` that name what an item goes with; `span` includes the "for"."""

    start: int
    stop: int
    span: Span

    def covers(self, span: Span | None) -> bool:
        """Whether the companion's phrase holds the beginning of `span`."""
        return span is not None and self.span[0] <= span[0] < self.span[1]


class Phrases:
    """Finds phrases by how the catalogue uses words."""

    def __init__(
        self, heads: Mapping[str, float], small_words: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._heads = heads
        self._stop = frozenset(small_words["stop"])
        self._prepositions = frozenset(small_words["prepositions"])
        self._belongs_to = [tuple(stems(form)) for form in small_words["belongs_to"]]

    def leading(self, text: str, said: Sequence[Word]) -> int:
        """How many words the leading noun phrase has; at least one where there are words."""
        first_cut = next((m.start() for m in _DELIMITER.finditer(text) if m.start() > 2), len(text))
        for at, word in enumerate(said):
            cut = word.start >= first_cut or word.stem in self._prepositions
            if cut and any(w.stem not in self._stop for w in said[:at]):
                return at
        return len(said)

    def leading_stems(self, text: str) -> list[str]:
        """The stems of the leading noun phrase, without stop words and numbers."""
        said = words(text)
        leading = (word.stem for word in said[: self.leading(text, said)])
        return [stem for stem in leading if stem not in self._stop and not stem.isdigit()]

    def product(
        self, text: str, said: Sequence[Word], mentions: Sequence[Mention], taken: AbstractSet[int]
    ) -> tuple[Mention | None, Word | None]:
        """The product named by the leading phrase, and its head; None where nothing is left."""
        leading = said[: self.leading(text, said)]
        head = self._head(leading, mentions, taken) or self._head(said, mentions, taken)
        if head is None:
            return None, None
        named = (m for m in mentions if m.aspect in GOODS and _covers(m.span, head))
        found = next(named, None) or _unnamed(self._nouns(said, mentions, taken), head)
        assert found.span is not None
        return Mention("product", found.value, text[slice(*found.span)], found.span), head

    def companions(
        self, said: Sequence[Word], mentions: Sequence[Mention]
    ) -> tuple[Companion, ...]:
        """What stands after "for" or "compatible with".

        Whom or when something is for ("for women", "for winter") is not what it goes with.
        """
        personal = {m.span[0] for m in mentions if m.span and m.aspect in _PERSONAL}
        found = []
        for at in range(1, len(said) - 1):
            after = at + self._marker(said, at)
            if at < after < len(said) and said[after].start not in personal:
                end = after + 1
                while end < min(after + _COMPANIONS, len(said)) and not said[end].follows_break(
                    said[end - 1]
                ):
                    end += 1
                found.append(Companion(after, end, (said[at].start, said[end - 1].end)))
        return tuple(found)

    def _marker(self, said: Sequence[Word], at: int) -> int:
        """How many words "for" or "compatible with" has that begins at `at`; 0 for none."""
        ahead = tuple(word.stem for word in said[at : at + _LONGEST_MARKER])
        return max((len(f) for f in self._belongs_to if ahead[: len(f)] == f), default=0)

    def _head(
        self, said: Sequence[Word], mentions: Sequence[Mention], taken: AbstractSet[int]
    ) -> Word | None:
        nouns = self._nouns(said, mentions, taken)
        goods = [m.span for m in mentions if m.aspect == "product"]
        usual = [
            word
            for word in nouns
            if self._heads.get(word.stem, 0) >= _HEADLIKE
            or any(_covers(span, word) for span in goods)
        ]
        return next(reversed(usual or nouns), None)

    def _nouns(
        self, said: Sequence[Word], mentions: Sequence[Mention], taken: AbstractSet[int]
    ) -> list[Word]:
        """The words that may name the thing: no other aspect speaks of them."""
        spoken_for = [m.span for m in mentions if m.aspect not in GOODS]
        return [
            word
            for at, word in enumerate(said)
            if at not in taken
            and word.stem not in self._stop
            and not word.stem.isdigit()
            and not any(_covers(span, word) for span in spoken_for)
        ]


def _unnamed(nouns: Sequence[Word], head: Word) -> Mention:
    """A product no lexicon names: its head, or the run of unspaced characters that ends in it."""
    first, length = head, 1
    for word in reversed([w for w in nouns if w.end <= head.start]):
        if not head.is_unspaced or not word.is_unspaced or word.end != first.start:
            break
        if length == _LONGEST_RUN:
            break
        first, length = word, length + 1
    run = [w.stem for w in nouns if first.start <= w.start <= head.start]
    return Mention("", " ".join(run), "", (first.start, head.end))


def _covers(span: Span | None, word: Word) -> bool:
    return span is not None and span[0] <= word.start and word.end <= span[1]
