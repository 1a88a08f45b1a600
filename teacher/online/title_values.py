"""What a title alone says per aspect, as written: extraction without query or fields.

Terms of the lexicon by longest match, quantities, ages, and, where no known brand opens the title,
the capitalised words before anything known. Matching works on the item's full reading instead; this
is for catalogues without fields, for people and for measures.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from relevance.text import normalise
from teacher.online.ages import age_mentions
from teacher.online.lexicon import Lexicon, Terms
from teacher.online.quantities import QuantityFinder
from teacher.online.readings import Mention
from teacher.online.terms import TermFinder
from teacher.online.words import Word, words

_DIGITS = re.compile(r"\d+")
_LONGEST_BRAND = 3  # words a brand nobody knows may have; a guess
_OPENING = 2  # words within which a known brand must begin to be the title's


class TitleReader:
    """Reads titles with one lexicon."""

    def __init__(self, lexicon: Lexicon, *, templates: Terms | None = None) -> None:
        """`templates` are terms in which `#` stands for any number."""
        self._terms = TermFinder(lexicon.terms)
        self._templates = TermFinder(templates or {})
        self._quantities = QuantityFinder(lexicon.units, lexicon.counts)
        self._small = frozenset(w for listed in lexicon.words.values() for w in listed)

    def values(self, title: str) -> Mapping[str, Sequence[str]]:
        """Every aspect's values as the title writes them, in its order; no two overlap."""
        values: dict[str, list[str]] = {}
        for mention in self.mentions(title):
            values.setdefault(mention.aspect, []).append(mention.text)
        return values

    def mentions(self, title: str) -> list[Mention]:
        """The same with their places in the normalised title, in its order."""
        text = normalise(title)
        said = words(text)
        found = _apart(
            [
                *self._terms.find(text, said),
                *self._templates.find(text, [_templated(word) for word in said]),
                *age_mentions(text),
                *self._measured(text),
            ]
        )
        return sorted([*found, *self._unknown_brand(text, said, found)], key=_start)

    def _measured(self, text: str) -> Iterator[Mention]:
        for quantity in self._quantities.find(text):
            yield Mention(quantity.aspect, "", quantity.text, (quantity.start, quantity.end))

    def _unknown_brand(
        self, text: str, said: Sequence[Word], found: Sequence[Mention]
    ) -> list[Mention]:
        """The opening words, up to the first that anything is known of."""
        opening = said[:_OPENING]
        if any(m.aspect == "brand" and _start(m) <= opening[-1].start for m in found if opening):
            return []
        end = 0
        for word in said[:_LONGEST_BRAND]:
            known = any(m.span and m.span[0] <= word.start < m.span[1] for m in found)
            if known or word.stem in self._small or not text[word.start].isupper():
                break
            end = word.end
        return (
            [Mention("brand", "", text[said[0].start : end], (said[0].start, end))] if end else []
        )


def template_of(key: str) -> str:
    """A term with `#` for every number.

    >>> template_of("spf 30")
    'spf #'
    """
    return _DIGITS.sub("#", key)


def _templated(word: Word) -> Word:
    return replace(word, stem=template_of(word.stem))


def _apart(mentions: Sequence[Mention]) -> list[Mention]:
    """The longest mentions that share no character; several meanings of one place stay."""
    kept: list[Mention] = []
    for mention in sorted(mentions, key=lambda m: (_start(m) - _end(m), _start(m))):
        clash = (
            other
            for other in kept
            if _start(mention) < _end(other)
            and _start(other) < _end(mention)
            and mention.span != other.span
        )
        if next(clash, None) is None:
            kept.append(mention)
    return kept


def _start(mention: Mention) -> int:
    return mention.span[0] if mention.span else 0


def _end(mention: Mention) -> int:
    return mention.span[1] if mention.span else 0
