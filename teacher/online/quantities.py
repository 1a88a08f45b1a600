"""Numbers with units: found in a text, compared across units (24 oz is 710 ml).

A shoe size ("size 8", "8 US") counts as one. Other numbers without a unit are ordinary words;
model numbers are `query_reading.py`'s business.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relevance.aspects import OTHER
from teacher.online.lexicon import Unit
from teacher.online.words import UNSPACED

_PACKED = re.compile(r"(?i)pack|pk|set|box|case|bag|pair|duo|trio|quartet|套|装|包|双")
_TOLERANCE = 0.03  # labels round: 24 oz is 709.8 ml
_NUMBER = r"(\d+\s*/\s*\d+|\d+(?:[.,]\d+)?|\.\d+)"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit; `amounts` holds its size per dimension, `[start, end)` its place."""

    text: str
    start: int
    end: int
    amounts: Mapping[str, float]

    @property
    def aspect(self) -> str:
        """A pack or set of so many, or a plain amount."""
        packed = "count" in self.amounts and _PACKED.search(self.text)
        return "set_or_single" if packed else OTHER

    def comparable(self, other: "Quantity") -> bool:
        """Whether both measure the same kind of thing."""
        return not self.amounts.keys().isdisjoint(other.amounts)

    def equals(self, other: "Quantity") -> bool:
        """Whether both say the same amount, up to rounding."""
        shared = self.amounts.keys() & other.amounts.keys()
        return any(_close(self.amounts[d], other.amounts[d]) for d in shared)


class QuantityFinder:
    """Finds quantities by the forms of the lexicon's units."""

    def __init__(self, units: Mapping[str, Unit], counts: Mapping[str, int]) -> None:
        self._factors = {form: unit.factors for unit in units.values() for form in unit.forms}
        self._counts = counts
        forms = sorted(self._factors, key=len, reverse=True)
        spoken = "|".join(re.escape(f) for f in forms if f[-1].isascii() and f[-1].isalpha())
        signs = "|".join(re.escape(f) for f in forms if not (f[-1].isascii() and f[-1].isalpha()))
        unit = f"(?:({spoken})(?!(?![{UNSPACED}])[^\\W_])|({signs}))"  # "5 m" is not in "5 men"
        before = rf"(?:(?<![\w./])|(?<=[{UNSPACED}]))"
        self._measured = re.compile(rf"{before}{_NUMBER}\s?-?\s?{unit}", re.IGNORECASE)
        numbers = "|".join([r"\d+", *map(re.escape, counts)])
        self._sized = re.compile(r"(?i:\bsizes?)\s(\d{1,2}(?:\.5)?)\b|\b(\d{1,2}(?:\.5)?)\sUS\b")
        self._counted = re.compile(
            rf"\b(?:(?:set|pack|box|case|bag)s? of ({numbers})|({'|'.join(counts) or '(?!)'}))\b",
            re.IGNORECASE,
        )

    def find(self, text: str) -> tuple[Quantity, ...]:
        """The quantities of a normalised text, measured ones first."""
        found = [
            Quantity(m[0], m.start(), m.end(), self._amounts(m[1], (m[2] or m[3]).lower()))
            for m in self._measured.finditer(text)
        ]
        found += [
            Quantity(m[0], m.start(), m.end(), {"count": self._count((m[1] or m[2]).lower())})
            for m in self._counted.finditer(text)
        ]
        found += [
            Quantity(m[0], m.start(), m.end(), {"size": float(m[1] or m[2])})
            for m in self._sized.finditer(text)
        ]
        return tuple(found)

    def _count(self, word: str) -> float:
        return float(self._counts.get(word) or word)

    def _amounts(self, number: str, form: str) -> dict[str, float]:
        factors = self._factors.get(form, {})
        return {dimension: _value(number) * factor for dimension, factor in factors.items()}


def _value(number: str) -> float:
    """A written number's value; a comma before three digits groups, else it is a decimal point."""
    if "/" in number:
        over, under = number.split("/")
        return int(over) / (int(under) or 1)
    if re.fullmatch(r"\d+,\d{3}", number):
        return float(number.replace(",", ""))
    return float(number.replace(",", "."))


def _close(first: float, second: float) -> bool:
    return abs(first - second) <= _TOLERANCE * max(first, second)
