"""`name=value` as typed on a command line → a changed recipe, each value read by its field's type.

A few settings have options of their own; this is for all the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from types import GenericAlias
from typing import Any

from relevance.errors import BadInput
from relevance.item_text import ItemText
from trainer.recipes import CotLoss, Precision, Recipe


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with these settings; `BadInput` names an unknown one or a value that is none.

    Numbers of a tuple are joined by commas: `layers=2,4,6`.
    """
    known = {field.name: field.type for field in fields(Recipe)}
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in known:
            raise BadInput(f"setting: expected one of {', '.join(known)} as name=value: {setting}")
        try:
            changes[name] = READERS[known[name]](text)
        except (ValueError, KeyError) as fault:
            raise BadInput(f"setting {name}: expected {_wanted(known[name])}: {text}") from fault
    return replace(recipe, **changes)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


READERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: {"true": True, "false": False}.__getitem__,
    tuple[int, ...]: _numbers,
    CotLoss: CotLoss,
    Precision: Precision,
    ItemText: ItemText,
}


def _wanted(kind: Any) -> str:
    if isinstance(kind, GenericAlias):
        return "numbers joined by commas"
    if kind in (CotLoss, Precision, ItemText):
        return f"one of {', '.join(kind)}"
    return "true or false" if kind is bool else f"{kind.__name__}"
