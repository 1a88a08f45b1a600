"""A shop's own changes to a mined lexicon, as a small TOML file that outlives every new mining.

    [add.color]
    red = ["cherry bomb"]          # value = the forms it is written in
    [remove]
    brand = ["touch"]              # forms that are no term of this aspect
    [synonyms]
    couch = ["settee"]             # terms that say the same

What is mined stands in `mine_lexicon.py`. Every fault is a `BadInput` that names the place.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from relevance.aspects import aspect_names
from relevance.errors import BadInput
from teacher.listed_terms import term_key, terms_of, with_synonyms
from teacher.online.lexicon import Lexicon

_PARTS = ("add", "remove", "synonyms")

Values = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class LexiconEdits:
    """Forms to add by aspect and value, forms to remove by aspect, and further synonyms."""

    add: Mapping[str, Values]
    remove: Values
    synonyms: Values

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.synonyms)


NO_EDITS = LexiconEdits({}, {}, {})


def read_edits(path: Path | None) -> LexiconEdits:
    """The edits of a file, none without one; raises `BadInput` on anything but edits."""
    if path is None:
        return NO_EDITS
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise BadInput(f"{path}: expected lexicon edits as TOML: {fault}") from fault
    if unknown := content.keys() - set(_PARTS):
        raise BadInput(f"{path}: expected {', '.join(_PARTS)}, got {', '.join(sorted(unknown))}")
    add = content.get("add", {})
    _check_aspects(path, "add", add)
    for aspect, values in add.items():
        _check_lists(path, f"add.{aspect}", values)
    _check_aspects(path, "remove", content.get("remove", {}))
    _check_lists(path, "remove", content.get("remove", {}))
    _check_lists(path, "synonyms", content.get("synonyms", {}))
    return LexiconEdits(add, content.get("remove", {}), content.get("synonyms", {}))


def edited(lexicon: Lexicon, edits: LexiconEdits) -> Lexicon:
    """The lexicon after the edits: what is removed goes first, what is added wins."""
    terms = {aspect: dict(forms) for aspect, forms in lexicon.terms.items()}
    for aspect, forms in edits.remove.items():
        for form in forms:
            terms.get(aspect, {}).pop(term_key(form), None)
    for aspect, values in edits.add.items():
        terms.setdefault(aspect, {}).update(terms_of(values))
    return replace(lexicon, terms=terms, synonyms=with_synonyms(lexicon.synonyms, edits.synonyms))


def _check_aspects(path: Path, part: str, found: object) -> None:
    if not isinstance(found, dict) or not found.keys() <= set(aspect_names()):
        raise BadInput(f"{path}: [{part}]: expected aspects as names, got {found!r:.80}")


def _check_lists(path: Path, part: str, found: object) -> None:
    fits = isinstance(found, dict) and all(
        isinstance(forms, list) and all(isinstance(form, str) and form.strip() for form in forms)
        for forms in found.values()
    )
    if not fits:
        raise BadInput(f"{path}: [{part}]: expected lists of texts, got {found!r:.80}")
