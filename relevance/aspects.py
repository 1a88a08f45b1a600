"""The list of aspects, read from `aspects.toml`; what their values are is not decided here."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from relevance.errors import BadInput

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing a query can ask for (paper, Table 5)."""

    name: str
    paper_name: str
    chinese: str
    definition: str

    @property
    def names(self) -> tuple[str, str, str]:
        """Every name this aspect is known by."""
        return (self.name, self.paper_name, self.chinese)


@cache
def aspects() -> tuple[Aspect, ...]:
    """The aspects this package ships, in their canonical order."""
    return read_aspects(Path(__file__).with_name("aspects.toml"))


@cache
def aspect_names() -> tuple[str, ...]:
    """The names of `aspects()`, in their canonical order."""
    return tuple(aspect.name for aspect in aspects())


def read_aspects(path: Path) -> tuple[Aspect, ...]:
    """Read an aspect list; raises `BadInput` where the file is not one."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["aspect"]
        found = tuple(Aspect(**row) for row in rows)
    except (OSError, KeyError, TypeError, ValueError) as fault:
        raise BadInput(f"{path}: expected a list of [[aspect]] tables, got {fault!r}") from fault
    if not any(aspect.name == OTHER for aspect in found):
        raise BadInput(f"{path}: expected an aspect named `{OTHER}`, found none")
    _check_words(found, path)
    return found


def _check_words(found: tuple[Aspect, ...], path: Path) -> None:
    """Each word means one aspect and can stand before a colon (`chain_of_thought`)."""
    words = [word for aspect in found for word in {name.casefold() for name in aspect.names}]
    for word in words:
        if words.count(word) > 1:
            raise BadInput(f"{path}: expected names of one aspect each, got `{word}` twice")
        if word != word.strip() or ":" in word or len(word.splitlines()) != 1:
            raise BadInput(f"{path}: expected names on one line without a colon, got {word!r}")
