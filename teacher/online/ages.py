"""Ages in numbers: "for 3 year olds", "6-12 months", "ages 8 and up", each as an age group.

Words for age groups (toddler, adult) are vocabulary and stand in the lexicon.
"""

import re
from collections.abc import Iterator

from teacher.online.readings import Mention

_NUMBER = r"(\d{1,2})(?:\s?(?:-|–|to|至)\s?(\d{1,2}))?"
_UNIT = r"[\s-]?(?:(months?|mos?)|years?|yrs?)"
# Each pattern's groups: youngest, oldest, "and up", "months". A number of years alone may be a
# warranty and of months a supply: it needs "old", "and up" or, for months, a range.
_PATTERNS = (
    rf"\b(?:ages?|aged)\s{_NUMBER}(\+|\sand\sup)?(?:\s(months?|mos?)\b)?",
    rf"\b{_NUMBER}()?{_UNIT}[\s-]olds?\b",
    rf"\b{_NUMBER}()()\s?yo\b",
    rf"\b{_NUMBER}(?=.{{0,9}}(\+|and\sup)){_UNIT}\s?(?:\+|and\sup\b)",
    r"\b(\d{1,2})\s?(?:-|–|to)\s?(\d{1,2})()\s?(months?|mos?)\b",
    rf"{_NUMBER}(\+)?(?:(个月)|周岁|岁)",
)
_COMPILED = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _PATTERNS)
_DIGIT = re.compile(r"\d")
_GROUPS = ((1.0, "baby"), (3.0, "toddler"), (13.0, "child"), (18.0, "teenager"), (100.0, "adult"))
_OPEN_END = 6.0  # years a "8 and up" is taken to reach


def age_mentions(text: str) -> Iterator[Mention]:
    """Every age group a numeric age in a normalised text speaks of.

    >>> [m.value for m in age_mentions("puzzle for ages 2-4")]
    ['toddler', 'child']
    """
    if not _DIGIT.search(text):
        return
    for pattern in _COMPILED:
        for found in pattern.finditer(text):
            for group in _groups(*_years(found)):
                yield Mention("age", group, found[0], found.span())


def _years(found: re.Match[str]) -> tuple[float, float]:
    """The youngest and the oldest age meant, in years."""
    low, high, and_up, months = found.group(1, 2, 3, 4)
    scale = 12 if months else 1
    youngest = int(low) / scale
    oldest = int(high) / scale if high else youngest + (_OPEN_END if and_up else 0)
    return youngest, max(youngest, oldest)


def _groups(youngest: float, oldest: float) -> Iterator[str]:
    """The groups whose years meet [youngest, oldest]; each begins where the one before ends."""
    begin = 0.0
    for end, group in _GROUPS:
        if youngest < end and oldest >= begin:
            yield group
        begin = end
