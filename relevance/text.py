"""The one text normalisation, used offline, online and as the cache key; and folded matching.

Language-specific knowledge (synonyms, stemming) is not here.
"""

import unicodedata
from dataclasses import dataclass

_KEPT_CONTROLS = "\t\n\r"  # become spaces; every other control or format character goes


def normalise(text: str) -> str:
    """NFKC, control and format characters dropped, white space runs to one space, ends trimmed.

    Idempotent. Case is kept: tokenisers fold it, and shoppers like to see it. Every offset in
    this project counts characters of a text that went through here.

    >>> normalise("  Ｗater\\u200b bottle\\n24\\u00a0oz ")
    'Water bottle 24 oz'
    """
    previous = ""
    while text != previous:  # dropping a joiner can let NFKC compose again
        previous = text
        composed = unicodedata.normalize("NFKC", text)
        kept = (c for c in composed if c in _KEPT_CONTROLS or unicodedata.category(c)[0] != "C")
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
            raise ValueError(f"span: expected 0 <= start < end <= {len(self.text)}, got {start}, {end}")
        return self.origins[start], self.origins[end - 1] + 1


def fold(text: str) -> Folded:
    """Case-fold `text` for comparison, keeping where each character came from.

    >>> fold("Straße").original_span(4, 6)
    (4, 5)
    """
    pieces = [character.casefold() for character in text]
    origins = [at for at, piece in enumerate(pieces) for _ in piece]
    return Folded("".join(pieces), tuple(origins))
