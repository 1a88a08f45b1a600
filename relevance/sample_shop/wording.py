"""Small changes of wording: plurals, typing mistakes, capitals, and where a phrase stands.

Which words are used is decided by the callers; plurals are English.
"""

import re
from collections.abc import Iterable
from functools import cache
from random import Random

_VOWELS = "aeiou"
_IRREGULAR = {"knife": "knives", "shelf": "shelves", "brush": "brushes", "glass": "glasses"}
_SMALL = ("of", "for", "with", "in", "and", "to", "the", "a", "oz", "ml", "cm", "ft", "lb", "kg")
_NO_PLURAL = ("s", "gear", "outerwear", "stemware", "hosiery", "kibble", "food", "ink")


def plural(phrase: str) -> str:
    """The phrase with its last word in the plural; phrases with a preposition stay.

    >>> plural("chef knife"), plural("body"), plural("bits for drill")
    ('chef knives', 'bodies', 'bits for drill')
    """
    head, _, last = phrase.rpartition(" ")
    for singular, many in _IRREGULAR.items():
        if last.endswith(singular):
            return f"{head} {last.removesuffix(singular)}{many}".strip()
    if last.endswith(_NO_PLURAL) or {"for", "in", "with", "&"} & set(phrase.split()):
        return phrase
    if last.endswith("y") and last[-2] not in _VOWELS:
        last = last[:-1] + "ie"
    return f"{head} {last}{'es' if last.endswith(('ch', 'sh', 'x')) else 's'}".strip()


def mistyped(phrase: str, random: Random) -> str:
    """The phrase with one slip in a word of five letters or more, if it has one."""
    words = phrase.split(" ")
    places = [at for at, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    if not places:
        return phrase
    place = random.choice(places)
    words[place] = _slip(words[place], random)
    return " ".join(words)


def _slip(word: str, random: Random) -> str:
    at = random.randrange(1, len(word) - 1)
    slips = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    return random.choice(slips)


def titled(phrase: str) -> str:
    """Capitals as headlines have them; words that hold a digit or capital stay as they are.

    >>> titled("set of 2 for iPhone 14 in 18/8 steel")
    'Set of 2 for iPhone 14 in 18/8 Steel'
    """
    return " ".join(w if w in _SMALL or not w.islower() else opened(w) for w in phrase.split(" "))


def opened(phrase: str) -> str:
    """The phrase with a capital first letter, unless its first word has capitals of its own.

    >>> opened("iPhone 14"), opened("made of oak")
    ('iPhone 14', 'Made of oak')
    """
    first = phrase.split(" ")[0]
    return phrase[0].upper() + phrase[1:] if first.islower() else phrase


def mentions(text: str, words: Iterable[str]) -> bool:
    """Whether the case-folded `text` holds one of the words as whole words, plural allowed."""
    return any(_whole(word).search(text) for word in words)


@cache
def _whole(word: str) -> re.Pattern[str]:
    endings = r"(?:s|es)?" if word[-1].isalpha() else ""
    return re.compile(rf"(?<!\w){re.escape(word)}{endings}(?!\w)", re.IGNORECASE)
