"""Aspect extraction held against human annotations: OA-Mine's titles, micro-F1 by aspect.

A prediction is right when an annotated value of its aspect has the same words. The rival is a
dictionary of the training part's values, found exactly, longest first.
"""

import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.tables import Columns, read_table
from relevance.text import normalise, words
from teacher.annotated_titles import AnnotatedTitle, Values, compared, sharpened
from teacher.mine_lexicon import mine_lexicon
from teacher.online.title_values import TitleReader
from teacher.title_tagger import TitleTagger

_MAPPING = Path(__file__).with_name("oamine_aspects.toml")
_COLUMNS = Columns(
    "annotated titles",
    {name: pa.string() for name in ("item_id", "title", "attributes_json", "split")},
    optional={},
)
_NAME_OF = {  # names our vocabularies know as attributes of the aspect
    "brand": "brand", "product": "product", "model_number": "model", "color": "color",
    "material": "material", "gender": "gender", "age": "age", "set_or_single": "pack size",
    "style": "style", "main_or_accessory": "accessory", "other": "measure",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class F1:
    """Precision and recall over all predictions and annotations, and their harmonic mean."""

    right: int
    predicted: int
    annotated: int

    @property
    def precision(self) -> float:
        """Share of predictions that are right."""
        return self.right / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """Share of annotations that are found."""
        return self.right / max(self.annotated, 1)

    @property
    def value(self) -> float:
        """F1."""
        return 2 * self.right / max(self.predicted + self.annotated, 1)


def read_titles(path: Path) -> dict[str, list[AnnotatedTitle]]:
    """The annotated titles of each split; an attribute without an aspect is refused."""
    aspect_of = {
        name: aspect
        for aspect, names in tomllib.loads(_MAPPING.read_text(encoding="utf-8")).items()
        for name in names
    }
    found: dict[str, list[AnnotatedTitle]] = defaultdict(list)
    for row in read_table(path, _COLUMNS).to_pylist():
        values: dict[str, list[str]] = defaultdict(list)
        for name, listed in json.loads(row["attributes_json"]).items():
            if name not in aspect_of:
                raise BadInput(f"{path}: expected attributes of {_MAPPING.name}, got `{name}`")
            values[aspect_of[name]] += listed
        kept = {aspect: tuple(map(normalise, texts)) for aspect, texts in values.items()}
        found[row["split"]].append(AnnotatedTitle(row["item_id"], normalise(row["title"]), kept))
    return found


def compare_extraction(
    train: Sequence[AnnotatedTitle], test: Sequence[AnnotatedTitle]
) -> dict[str, dict[str, F1]]:
    """Each reader's F1, over all and by aspect, all of them taught by `train` alone.

    `ours` learns where values end; `terms` finds the same marked values without that.
    """
    tagger, terms, dictionary = (
        TitleTagger.taught(train, _reader),
        _reader(train),
        _Dictionary(train),
    )
    found = {
        "ours": [compared(tagger.values(t.title)) for t in test],
        "terms": [compared(terms.values(t.title)) for t in test],
        "exact dictionary": [dictionary.values(t.title) for t in test],
    }
    gold = [compared(t.values) for t in test]
    return {name: _scores(predicted, gold) for name, predicted in found.items()}


def _reader(titles: Sequence[AnnotatedTitle]) -> TitleReader:
    """A reader of the terms that titles mark, as a shop's fields and as marks."""
    return sharpened(mine_lexicon([_item(title) for title in titles]), titles)


def _item(title: AnnotatedTitle) -> Item:
    """An annotated title as a shop's item: its values stand in the fields a catalogue has."""
    first = {aspect: texts[0] for aspect, texts in title.values.items() if texts}
    attributes = tuple(
        (f"{_NAME_OF[aspect]}", text)
        for aspect, texts in title.values.items()
        if aspect not in ("brand", "color")
        for text in texts
    )
    return Item(
        title.item_id,
        title.title,
        brand=first.get("brand", ""),
        color=first.get("color", ""),
        attributes=attributes,
    )


class _Dictionary:
    """Every annotated value with its most frequent aspect."""

    def __init__(self, train: Sequence[AnnotatedTitle]) -> None:
        counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for title in train:
            for aspect, texts in title.values.items():
                for text in texts:
                    counts[words(text)][aspect] += 1
        self._aspect_of = {form: found.most_common(1)[0][0] for form, found in counts.items()}
        self._longest = max(map(len, self._aspect_of), default=0)

    def values(self, title: str) -> Values:
        found: dict[str, set[str]] = defaultdict(set)
        said = words(title)
        at = 0
        while at < len(said):
            reach = range(min(self._longest, len(said) - at), 0, -1)
            length = next((n for n in reach if said[at : at + n] in self._aspect_of), 0)
            if length:
                form = said[at : at + length]
                found[self._aspect_of[form]].add(" ".join(form))
            at += max(length, 1)
        return {aspect: frozenset(forms) for aspect, forms in found.items()}


def _scores(predicted: Sequence[Values], gold: Sequence[Values]) -> dict[str, F1]:
    aspects = sorted({aspect for values in gold for aspect in values})
    by_aspect = {aspect: _f1(predicted, gold, (aspect,)) for aspect in aspects}
    return {"all": _f1(predicted, gold, aspects), **by_aspect}


def _f1(predicted: Sequence[Values], gold: Sequence[Values], aspects: Sequence[str]) -> F1:
    pairs = list(_sets(predicted, gold, aspects))
    return F1(
        right=sum(len(ours & theirs) for ours, theirs in pairs),
        predicted=sum(len(ours) for ours, _ in pairs),
        annotated=sum(len(theirs) for _, theirs in pairs),
    )


def _sets(
    predicted: Sequence[Values], gold: Sequence[Values], aspects: Sequence[str]
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    nothing: frozenset[str] = frozenset()
    for ours, theirs in zip(predicted, gold, strict=True):
        for aspect in aspects:
            yield ours.get(aspect, nothing), theirs.get(aspect, nothing)
