"""Which queries are spellings of one another: word order, plurals, spacing, accents, typos.

Found for any number of queries without comparing all of them. The rules err towards calling two
queries one: a variant that slips into training costs more than a lost pair. Synonyms are not
variants; the plural rules are English.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os.path import commonprefix

from relevance.text import normalise, words

ONE_TYPO_FROM, TWO_TYPOS_FROM = 5, 12  # letters: two shorter queries mean two things
TWO_TYPOS_IN_A_WORD_FROM = 8  # letters: men and women, grey and green are no typos
TYPOS_UP_TO = 100  # longer texts are not typed twice, and their keys would grow with the square
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019\u02bc](?=\w)")
_ACCENT = re.compile(r"[\u0300-\u036f]")
_PLURALS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", ""))
_NO_PLURALS = ("ss", "us", "is")


@dataclass(frozen=True, slots=True)
class Spelling:
    """What variants are compared by: singular words without accents, case or apostrophes.

    `letters` are the words without spaces, `alphabet` has a bit for each letter that occurs, and
    `typos` may stand between this and another spelling.
    """

    words: tuple[str, ...]
    letters: str
    digits: str
    alphabet: int
    typos: int


def spelling(query: str) -> Spelling:
    """What `query` is compared by.

    >>> spelling("Women's  T-Shirts").letters
    'womentshirt'
    """
    joined = _APOSTROPHE.sub("", normalise(query))
    plain = _ACCENT.sub("", unicodedata.normalize("NFD", joined))
    singular = [_singular(word) for word in words(unicodedata.normalize("NFC", plain))]
    letters = "".join(singular)
    length = len(letters) if len(letters) <= TYPOS_UP_TO else 0
    return Spelling(
        words=tuple(singular),
        letters=letters,
        digits="".join(letter for letter in letters if letter.isdigit()),
        alphabet=sum({1 << ord(letter) % 64 for letter in letters}),
        typos=(length >= ONE_TYPO_FROM) + (length >= TWO_TYPOS_FROM),
    )


def are_variants(first: Spelling, second: Spelling) -> bool:
    """Whether two spellings may be of one query.

    The same words in any order, the same letters without spaces, or, where all digits agree, one
    typo (two from twelve letters on, but not both in one short word): 12 is never a mistyped 13.
    """
    if first.letters == second.letters or set(first.words) == set(second.words):
        return True
    allowed = min(first.typos, second.typos)
    if not allowed or first.digits != second.digits:
        return False
    if (first.alphabet ^ second.alphabet).bit_count() > 2 * allowed:  # a typo swaps one letter
        return False
    typos = edit_distance(first.letters, second.letters, limit=allowed)
    return typos <= allowed and (typos < 2 or _are_spread(first, second))


def edit_distance(first: str, second: str, *, limit: int) -> int:
    """The fewest typos between two texts: a letter added, left out, changed, or two swapped.

    Optimal string alignment: no place is edited twice. More than `limit` typos count as one more.
    """
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    first, second = _without_common_ends(first, second)
    before, row = [0] * (len(second) + 1), list(range(len(second) + 1))
    for i, letter in enumerate(first, start=1):
        before, previous, row = row, before, [i]
        for j, other in enumerate(second, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
        if min(*row, *before) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def group_variants(queries: Iterable[str]) -> dict[str, str]:
    """Each query's group, named by its first query in sorted order.

    The transitive closure of `are_variants`: no two groups hold variants of each other.
    """
    ordered = sorted(set(queries))
    leader = {query: query for query in ordered}
    index = VariantIndex()
    for query in ordered:
        for known in index.variants(query):
            one, other = sorted((_lead(leader, known), _lead(leader, query)))
            leader[other] = one
        index.add(query)
    return {query: _lead(leader, query) for query in ordered}


class VariantIndex:
    """Queries that can be asked for the variants of another, at the cost of a few look-ups.

    Spellings at one typo agree after at most one deletion on each side (as in SymSpell). At two
    typos, one half is at one typo from a part of the other spelling, cut about its middle.
    """

    def __init__(self, queries: Iterable[str] = ()) -> None:
        self._known: list[tuple[str, Spelling]] = []
        self._by_key: dict[Key, list[int]] = defaultdict(list)
        for query in sorted(set(queries)):
            self.add(query)

    def add(self, query: str) -> None:
        """Know one more query."""
        known = spelling(query)
        for key in {*_keys(known), *_half_keys(known, (len(known.letters) // 2,))}:
            self._by_key[key].append(len(self._known))
        self._known.append((query, known))

    def variants(self, query: str) -> frozenset[str]:
        """The known queries that are variants of `query`, itself included."""
        asked = spelling(query)
        middle = len(asked.letters) // 2
        keys = {*_keys(asked), *_half_keys(asked, range(middle - 2, middle + 4))}
        near = {at for key in keys for at in self._by_key.get(key, ())}
        entries = (self._known[at] for at in near)
        return frozenset(known for known, other in entries if are_variants(asked, other))


Key = tuple[str, str | frozenset[str]]


def _without_common_ends(first: str, second: str) -> tuple[str, str]:
    start = len(commonprefix((first, second)))
    first, second = first[start:], second[start:]
    end = len(commonprefix((first[::-1], second[::-1])))
    return first[: len(first) - end], second[: len(second) - end]


def _are_spread(first: Spelling, second: Spelling) -> bool:
    """Whether no short word differs by two typos."""
    return len(first.words) == len(second.words) and all(
        max(len(a), len(b)) >= TWO_TYPOS_IN_A_WORD_FROM or edit_distance(a, b, limit=1) < 2
        for a, b in zip(first.words, second.words, strict=True)
    )


def _keys(asked: Spelling) -> Iterator[Key]:
    yield "words", frozenset(asked.words)
    yield "letters", asked.letters
    if asked.typos:
        yield from (("all", text) for text in _deletions(asked.letters))


def _half_keys(asked: Spelling, cuts: Iterable[int]) -> Iterator[Key]:
    if asked.typos < 2:
        return
    for cut in cuts:
        yield from (("head", text) for text in _deletions(asked.letters[:cut]))
        yield from (("tail", text) for text in _deletions(asked.letters[cut:]))


def _deletions(letters: str) -> Iterator[str]:
    yield letters
    for at in range(len(letters)):
        yield letters[:at] + letters[at + 1 :]


def _lead(leader: dict[str, str], query: str) -> str:
    while leader[query] != query:
        leader[query] = leader[leader[query]]
        query = leader[query]
    return query


def _singular(word: str) -> str:
    if len(word) < 3 or word.endswith(_NO_PLURALS) or not word.isascii():
        return word
    for ending, singular in _PLURALS:
        if word.endswith(ending):
            return word.removesuffix(ending) + singular
    return word
