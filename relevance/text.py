"""The one text normalisation, used offline, online and as the cache key; and folded matching.

Language-specific knowledge (synonyms, stemming) is not here.
"""

import unicodedata
from dataclasses import dataclass

_DROPPED = frozenset({"Cc", "Cf", "Co", "Cs"})  # controls, formats, private use, surrogates


def normalise(text: str) -> str:
    """NFKC, control and format characters dropped, white space runs to one space, ends trimmed.

    Characters this Python's Unicode tables do not know yet are kept.

    Idempotent. Case is kept: tokenisers fold it, and shoppers like to see it. Every offset in
    this project counts characters of a text that went through here.

    >>> normalise("  Ｗater\\u200b bottle\\n24\\u00a0oz ")
    'Water bottle 24 oz'
    """
    spaced = " ".join(text.split())
    if spaced.isprintable() and unicodedata.is_normalized("NFKC", spaced):
        return spaced  # nothing to drop or compose, found by C loops: nearly every text
    return _normalised_by_character(text)


def _normalised_by_character(text: str) -> str:
    previous = ""
    while text != previous:  # dropping a joiner can let NFKC compose again
        previous = text
        composed = unicodedata.normalize("NFKC", text)
        kept = (c for c in composed if c.isspace() or unicodedata.category(c) not in _DROPPED)
        text = " ".join("".join(kept).split())
    return text


@dataclass(frozen=True, slots=True)
class Folded:
    """A case-folded text and, for each of its characters, the offset it came from.

    Folding can lengthen a text (ß becomes ss), so matches found in `text` are brought back to
    the original by `original_span`.
    """

    text: str
    origins: tuple[int, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """The original's `[start, end)` for this text's; an empty span is refused."""
        if not 0 <= start < end <= len(self.text):
            raise ValueError(
                f"span: expected 0 <= start < end <= {len(self.text)}, got {start}, {end}"
            )
        return self.origins[start], self.origins[end - 1] + 1


def fold(text: str) -> Folded:
    """Case-fold `text` for comparison, keeping where each character came from.

    >>> fold("Straße").original_span(4, 6)
    (4, 5)
    """
    pieces = [character.casefold() for character in text]
    origins = [at for at, piece in enumerate(pieces) for _ in piece]
    return Folded("".join(pieces), tuple(origins))


def words(text: str) -> tuple[str, ...]:
    """The case-folded words of `text`: runs of letters, marks and digits.

    Scripts written without spaces between words give one word a character.

    >>> words("T-shirt 2XL, 红色")
    ('t', 'shirt', '2xl', '红', '色')
    """
    spaced = (
        f" {c} " if is_unspaced(c) else c if is_word_character(c) else " " for c in fold(text).text
    )
    return tuple("".join(spaced).split())


def is_word_character(character: str) -> bool:
    """Whether `character` is a letter, a mark or a digit of any script."""
    return unicodedata.category(character)[0] in "LMN"


def is_unspaced(character: str) -> bool:
    """Whether `character` is of a script that sets no spaces between words.

    Han, kana, Hangul (whose particles follow a noun without a space) and Thai to Khmer.
    """
    return is_word_character(character) and any(
        first <= character <= last for first, last in _UNSPACED
    )


_UNSPACED = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Myanmar
    ("\u1100", "\u11ff"),  # Hangul jamo
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3005", "\u3007"),  # iteration mark, zero
    ("\u3040", "\u31ff"),  # kana, Bopomofo, Hangul compatibility jamo
    ("\u3400", "\u9fff"),  # Han
    ("\uac00", "\ud7ff"),  # Hangul syllables
    ("\uf900", "\ufaff"),  # Han compatibility
    ("\U00020000", "\U0003ffff"),  # Han extensions
)
