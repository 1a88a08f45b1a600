"""Words of a text with their place in it, and the stems they are compared by.

Light: English plural and possessive endings and the dots of abbreviations go, nothing else. Of
scripts that set no spaces each character is a word; terms of several are found by longest match
in `terms.py`. Lexicons and matching both come here, so that they agree on what a word is.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from relevance.text import fold

# Thai, Lao, Myanmar, Khmer, kana, Han: what `relevance.text.is_unspaced` knows but for Hangul,
# whose words do stand apart.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u31a0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTERS = rf"(?:(?![{UNSPACED}])[^\W_])+"
_WORD = re.compile(
    rf"(?<![^\W_])(?:[a-z]\.){{2,}}(?![^\W_])|\d+(?:\.\d+)+(?![^\W_])|{_LETTERS}(?:['’]{_LETTERS})*|[^\W_]|&"
)
_UNSPACED_WORD = re.compile(rf"[{UNSPACED}]")
_SILENT = str.maketrans("", "", "'’.")
_KEEP_S = ("ss", "us", "is", "as", "os")
_SIBILANTS = ("sses", "shes", "ches", "xes", "zes")


@dataclass(frozen=True, slots=True)
class Word:
    """One word; `[start, end)` are characters of the text it stands in."""

    stem: str
    start: int
    end: int

    @property
    def is_unspaced(self) -> bool:
        """Whether it is a character of a script that sets no spaces."""
        return is_unspaced(self.stem)

    def follows_break(self, previous: "Word") -> bool:
        """Whether more than a blank or a hyphen stands between this word and the one before."""
        return self.start - previous.end > 1


def words(text: str) -> tuple[Word, ...]:
    """The words of a normalised text, in order.

    >>> [word.stem for word in words("U.S. Women's T-Shirts & 24oz Glasses, 红色")]
    ['us', 'women', 't', 'shirt', '&', '24oz', 'glass', '红', '色']
    """
    if text.isascii():  # the usual case: lower letters are all that folding makes
        return tuple(Word(stem(m[0]), m.start(), m.end()) for m in _WORD.finditer(text.lower()))
    folded = fold(text)
    if len(folded.text) == len(text):  # nearly always: folding kept every offset
        return tuple(Word(stem(m[0]), m.start(), m.end()) for m in _WORD.finditer(folded.text))
    return tuple(
        Word(stem(m[0]), *folded.original_span(m.start(), m.end()))
        for m in _WORD.finditer(folded.text)
    )


def stems(text: str) -> list[str]:
    """The stems alone, where no place is needed."""
    return [stem(word) for word in _WORD.findall(text.casefold())]


def is_unspaced(stem: str) -> bool:
    """Whether a stem is one character of a script that sets no spaces."""
    return len(stem) == 1 and stem > "\u0e00" and _UNSPACED_WORD.match(stem) is not None


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """What a case-folded word is compared by.

    >>> [stem(w) for w in ("dresses", "batteries", "men's", "glass", "shoes", "knives", "us")]
    ['dress', 'battery', 'men', 'glass', 'shoe', 'knife', 'us']
    """
    bare = word[:-2] if word.endswith(("'s", "’s")) else word.translate(_SILENT)
    if word[:1].isdigit() and "." in word:
        return word  # 1.75 is not 175
    irregular = _IRREGULAR.get(bare)
    if irregular is not None:
        return irregular
    if len(bare) < 4 or not bare.endswith("s") or bare.endswith(_KEEP_S):
        return bare
    if bare.endswith("ies") and len(bare) > 4:
        return bare[:-3] + "y"
    return bare[:-2] if bare.endswith(_SIBILANTS) else bare[:-1]


_IRREGULAR = {
    "womens": "women", "mens": "men", "knives": "knife", "shelves": "shelf", "scarves": "scarf",
    "leaves": "leaf", "loaves": "loaf", "wives": "wife", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "gas": "gas", "series": "series", "shoes": "shoe", "axes": "axe",
    "movies": "movie", "cookies": "cookie", "brownies": "brownie", "hoodies": "hoodie",
    "sizes": "size", "mazes": "maze", "boxes": "box",
}  # fmt: skip
