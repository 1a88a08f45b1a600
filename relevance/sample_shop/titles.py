"""Writes an item's title as sellers do: order, synonyms, stuffing, capitals, slips, omissions.

A title also remembers which of its words state which facet; fields are written in `fields.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from relevance.sample_shop.latent_items import LatentItem
from relevance.sample_shop.vocabulary import Facet, Value, Vocabulary
from relevance.sample_shop.wording import mistyped, opened, plural, titled
from relevance.text import normalise

SHORTEST, LONGEST = 6, 25  # words
_SAID_SHARE = 0.26  # how often a seller prefers a word that shoppers do not use
_NOUN_SAID_SHARE = 0.14  # less often for the thing itself: it must be found
_QUIET_SHARE = 0.15  # how often a value hardly worth saying is said
_ABBREVIATED, _MISTYPED = 0.10, 0.05
_FRONT, _STORE, _NOUN = ("brand", "model"), "store", "product"


@dataclass(frozen=True, slots=True)
class Title:
    """A normalised title and, per stated facet, the words in it that state it."""

    text: str
    stated: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some words of a title; `facet` is empty where they state nothing."""

    facet: str
    text: str


def write_title(item: LatentItem, vocabulary: Vocabulary, random: Random) -> Title:
    """One seller's title for `item`, of 6 to 25 words."""
    stated = [_piece(f, v, random) for f, v in _stated(item, vocabulary, random)]
    pieces = _arranged(item, stated, vocabulary, random)
    pieces = _padded(pieces, item, vocabulary, random)
    pieces = [_worn(piece, vocabulary, random) for piece in _cut(pieces)]
    pieces = _capitalised(pieces, random)
    separator = random.choices((" ", ", ", " - ", " | "), (6, 3, 1, 1))[0]
    text = _joined(pieces, separator)
    return Title(text, {p.facet: normalise(p.text) for p in pieces if p.facet})


def title_share(facet: Facet, value: Value) -> float:
    """How often titles state this value."""
    if value.in_title is not None:
        return value.in_title
    return facet.in_title * (_QUIET_SHARE if value.quiet else 1.0)


def _stated(item: LatentItem, vocabulary: Vocabulary, random: Random) -> list[tuple[str, Value]]:
    return [
        (name, value)
        for name, value in item.values.items()
        if random.random() < title_share(vocabulary.facets[name], value)
    ]


def _piece(facet: str, value: Value, random: Random) -> _Piece:
    share = _NOUN_SAID_SHARE if facet == _NOUN else _SAID_SHARE
    words = value.said if value.said and random.random() < share else value.asked
    text = random.choice(words)
    if facet == _NOUN and random.random() < 0.12:
        text = plural(text)
    return _Piece(facet, text)


def _arranged(
    item: LatentItem, stated: Sequence[_Piece], vocabulary: Vocabulary, random: Random
) -> list[_Piece]:
    """Maker, adjectives, noun, rest; or noun early with the rest as a list."""
    front = [p for p in stated if p.facet in _FRONT]
    store = [p for p in stated if p.facet == _STORE]
    noun = [p for p in stated if p.facet == _NOUN]
    if item.product.accessory_of and random.random() < 0.5:
        noun.append(_Piece("", f"for {item.product.accessory_of}"))
    rest = [p for p in stated if p.facet not in (*_FRONT, _STORE, _NOUN)]
    random.shuffle(rest)
    after = [p for p in rest if _stands_behind(p.text, vocabulary, random)]
    before = [p for p in rest if p not in after]
    if len(before) > 3:
        before, after = before[:3], [*before[3:], *after]
    layouts = (
        [*front, *before, *noun, *after, *store],
        [*store, *front, *noun, *before, *after],
        [*before, *noun, *after, *front, *store],
        [*noun, *front, *before, *after, *store],
    )
    return list(random.choices(layouts, (6, 2, 1.5, 1))[0])


def _stands_behind(text: str, vocabulary: Vocabulary, random: Random) -> bool:
    if text.split()[0].lower() in vocabulary.phrases.trailing:
        return True
    return random.random() < (0.65 if any(c.isdigit() for c in text) else 0.2)


def _padded(
    pieces: list[_Piece], item: LatentItem, vocabulary: Vocabulary, random: Random
) -> list[_Piece]:
    """With the seller's empty phrases, a second name for the thing, or a neighbour's."""
    puffs = list(vocabulary.categories[item.product.category].puffs)
    random.shuffle(puffs)
    for _ in range(random.choices((0, 1, 2, 3), (3, 4, 3, 1))[0]):
        pieces = _inserted(pieces, puffs.pop(), random)
    if random.random() < 0.15:
        pieces = [*pieces, _Piece("", random.choice(item.product.value.words))]
    if random.random() < 0.05:
        pieces = [*pieces, _Piece("", f"{random.choice(item.product.siblings)} sold separately")]
    while sum(len(p.text.split()) for p in pieces) < SHORTEST:
        pieces = [*pieces, _Piece("", puffs.pop())]
    return pieces


def _inserted(pieces: list[_Piece], puff: str, random: Random) -> list[_Piece]:
    at = random.choice((0, len(pieces), len(pieces)))
    return [*pieces[:at], _Piece("", puff), *pieces[at:]]


def _cut(pieces: Sequence[_Piece]) -> list[_Piece]:
    kept: list[_Piece] = []
    for piece in pieces:
        fits = sum(len(p.text.split()) for p in (*kept, piece)) <= LONGEST
        if fits or piece.facet == _NOUN:
            kept.append(piece)
    return kept


def _worn(piece: _Piece, vocabulary: Vocabulary, random: Random) -> _Piece:
    text = piece.text
    if random.random() < _ABBREVIATED:
        for long, short in vocabulary.phrases.abbreviations.items():
            text = text.replace(long, short)
    if random.random() < _MISTYPED / 3:  # a title has about three pieces worth mistyping
        text = mistyped(text, random)
    return _Piece(piece.facet, text)


def _capitalised(pieces: Sequence[_Piece], random: Random) -> list[_Piece]:
    style = random.choices(("headline", "as typed", "loud"), (8, 1.2, 0.8))[0]
    if style == "as typed":
        return list(pieces)
    return [
        _Piece(p.facet, p.text.upper() if style == "loud" and p.facet in ("brand", _NOUN)
               else titled(p.text))
        for p in pieces
    ]  # fmt: skip


def _joined(pieces: Sequence[_Piece], separator: str) -> str:
    """Adjectives and noun stay together; what follows is set off by the separator."""
    noun = next(at for at, piece in enumerate(pieces) if piece.facet == _NOUN)
    head = " ".join(piece.text for piece in pieces[: noun + 1])
    tail = [piece.text for piece in pieces[noun + 1 :]]
    return normalise(opened(separator.join([head, *tail])))
