"""The list of aspects, read from `aspects.toml`; what an aspect's values are is not decided here."""

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
    names = [aspect.name for aspect in found]
    if len(set(names)) != len(names) or OTHER not in names:
        raise BadInput(f"{path}: aspect names must differ and include `{OTHER}`, got {names}")
    return found
