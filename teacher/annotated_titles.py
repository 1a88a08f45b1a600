"""Sharpens a lexicon by titles whose values people marked: what is marked is a term, what the marks
disprove is none, and numbers stand for one another ("SPF 30" for every SPF).

A shop's fields are no such marks: they are incomplete, and a silent field disproves nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from relevance.text import words
from teacher.listed_terms import term_key
from teacher.online.lexicon import Lexicon, Terms
from teacher.online.title_values import TitleReader, template_of

_RIGHT = 0.5  # share of a term's mentions that must be marked, else it is dropped

Values = Mapping[str, frozenset[str]]  # aspect → values as compared


@dataclass(frozen=True, slots=True)
class AnnotatedTitle:
    """A title with its human-marked values by aspect, as written."""

    item_id: str
    title: str
    values: Mapping[str, tuple[str, ...]]


def sharpened(lexicon: Lexicon, titles: Sequence[AnnotatedTitle]) -> TitleReader:
    """A reader that knows every marked value, and no term that the marks mostly disprove."""
    terms = {aspect: dict(forms) for aspect, forms in lexicon.terms.items()}
    templates: dict[str, dict[str, str]] = {}
    for title in titles:
        for aspect, texts in title.values.items():
            for key in filter(None, map(term_key, texts)):
                terms.setdefault(aspect, {}).setdefault(key, key)
                if (template := template_of(key)) != key:
                    templates.setdefault(aspect, {})[template] = template
    terms = _kept(terms, _disproved(TitleReader(replace(lexicon, terms=terms)), titles))
    reader = TitleReader(replace(lexicon, terms=terms), templates=templates)
    return TitleReader(
        replace(lexicon, terms=_kept(terms, _disproved(reader, titles))),
        templates=_kept(templates, _disproved(reader, titles, template=True)),
    )


def compared(values: Mapping[str, Sequence[str]]) -> Values:
    """Values as they are compared: by their words."""
    return {
        aspect: frozenset(" ".join(words(text)) for text in texts)
        for aspect, texts in values.items()
    }


def _disproved(
    reader: TitleReader, titles: Sequence[AnnotatedTitle], *, template: bool = False
) -> frozenset[tuple[str, str]]:
    """Aspects and terms (or templates) that are right in too few of the places they are found."""
    found: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for title in titles:
        marked = compared(title.values)
        for aspect, texts in reader.values(title.title).items():
            for text in texts:
                key = (aspect, template_of(term_key(text)) if template else term_key(text))
                found[key] += 1
                right[key] += " ".join(words(text)) in marked.get(aspect, ())
    return frozenset(key for key, n in found.items() if right[key] < _RIGHT * n)


def _kept(terms: Terms, dropped: frozenset[tuple[str, str]]) -> dict[str, dict[str, str]]:
    return {
        aspect: {form: value for form, value in forms.items() if (aspect, form) not in dropped}
        for aspect, forms in terms.items()
    }
