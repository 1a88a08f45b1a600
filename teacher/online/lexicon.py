"""The lexicon: what the catalogue judge knows about words, as one inspectable JSON file.

A value, its reader and its writer. Mining it from a catalogue is `teacher.mine_lexicon`.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from relevance.atomic import write_text
from relevance.errors import BadInput

FORMAT = "catalogue-lexicon/2"
FILE = "lexicon.json"

Terms = Mapping[str, Mapping[str, str]]  # aspect → term (stems joined by blanks) → its value


@dataclass(frozen=True, slots=True)
class Unit:
    """The forms a unit is written in, and per dimension its factor to the basic unit."""

    forms: tuple[str, ...]
    factors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Department:
    """A node of the category tree: how many items it holds, and in how many titles a word is."""

    items: int
    words: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms per aspect, document frequencies, departments, units and the small words of titles.

    `terms` are recognised everywhere, `field_terms` only in their aspect's own field; a value
    `group=value` excludes the other values of its group. `heads` is the share of its titles in
    which a word ends the leading noun phrase, 1 where it ends a product's name; `attributes` maps
    an attribute's name to its aspect; `kin` holds kinds of goods that one item is called by at
    once; `synonyms` holds for a term the others that say the same. All words are stems.
    """

    documents: int
    document_frequencies: Mapping[str, int]
    terms: Terms
    field_terms: Terms
    heads: Mapping[str, float]
    departments: Mapping[str, Department]
    units: Mapping[str, Unit]
    counts: Mapping[str, int]
    attributes: Mapping[str, str]
    words: Mapping[str, tuple[str, ...]]
    kin: Mapping[str, Mapping[str, float]]
    synonyms: Mapping[str, tuple[str, ...]]

    def idf(self, stem: str) -> float:
        """How telling a word is: 0 where every item has it, largest where none does."""
        frequency = self.document_frequencies.get(stem, 0)
        return math.log((self.documents + 1) / (frequency + 0.5))


def write_lexicon(folder: Path, lexicon: Lexicon) -> None:
    """Write `lexicon.json` into `folder`, keys sorted so that two lexicons can be compared."""
    content = {"format": FORMAT, **asdict(lexicon)}
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
    write_text(folder / FILE, text + "\n")


def read_lexicon(folder: Path) -> Lexicon:
    """Read `lexicon.json`; raises `BadInput` where it is absent or no lexicon."""
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError(f"expected format {FORMAT}")
        departments = {name: Department(**d) for name, d in content.pop("departments").items()}
        units = {n: Unit(tuple(u["forms"]), u["factors"]) for n, u in content.pop("units").items()}
        listed = {name: tuple(forms) for name, forms in content.pop("words").items()}
        synonyms = {term: tuple(others) for term, others in content.pop("synonyms").items()}
        return Lexicon(
            departments=departments, units=units, words=listed, synonyms=synonyms, **content
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else repr(fault)
        raise BadInput(
            f"{path}: expected a lexicon written by `ellm teach fit`, {FORMAT}: {reason}"
        ) from fault


def fingerprint(*paths: Path) -> str:
    """Sixteen hex digits of SHA-256 over the files that decide a judgement."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
