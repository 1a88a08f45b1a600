"""Learns from titles whose values people marked where values begin and end in other titles.

A linear-chain CRF (CRFsuite) over words, their shapes and neighbours, and over what a reader of
terms taught by the same marks says of each word. Of titles that nobody marked it learns nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pycrfsuite  # type: ignore[import-untyped]  # ships no types

from relevance.errors import BadInput
from relevance.text import normalise
from teacher.annotated_titles import AnnotatedTitle
from teacher.listed_terms import term_key
from teacher.online.readings import Mention
from teacher.online.title_values import TitleReader, template_of
from teacher.online.words import Word, words
from teacher.title_tags import tags_of, tags_of_values, values_of_tags

# By cross-fit on OA-Mine's training titles; L1 and L2 moved F1 by less than a point around these.
_SETTINGS = {"c1": 0.1, "c2": 0.02, "max_iterations": 80, "feature.possible_transitions": True}
_PARTS = 5  # a title's words are read by terms of the other parts, as those of a new title will be
_REACH = 2  # words to either side that a word's tag depends on
_RUN = re.compile(r"(.)\1+")

Features = list[list[str]]  # of each word
ReaderOf = Callable[[Sequence[AnnotatedTitle]], TitleReader]


class TitleTagger:
    """Says which words of a title are whose value; made by `TitleTagger.taught`."""

    def __init__(self, reader: TitleReader, model: bytes) -> None:
        self._reader = reader
        self._model = model  # kept: the tagger reads these bytes where they lie
        self._tagger = pycrfsuite.Tagger()
        self._tagger.open_inmemory(self._model)

    @classmethod
    def taught(cls, titles: Sequence[AnnotatedTitle], reader_of: ReaderOf) -> "TitleTagger":
        """A tagger of what these titles mark; raises `BadInput` where there are too few.

        `reader_of` makes a reader of terms from marked titles, and from nothing else that knows
        their marks.
        """
        if len(titles) < _PARTS:
            raise BadInput(
                f"teaching a tagger: expected at least {_PARTS} marked titles, got {len(titles)}"
            )
        trainer = pycrfsuite.Trainer(verbose=False, params=_SETTINGS)
        for part in range(_PARTS):
            others = [title for at, title in enumerate(titles) if at % _PARTS != part]
            reader = reader_of(others)
            for title in titles[part::_PARTS]:
                text = normalise(title.title)
                said = words(text)
                if said:
                    trainer.append(
                        word_features(text, said, reader.mentions(text)),
                        tags_of_values(text, said, title.values),
                    )
        return cls(reader_of(titles), _trained(trainer))

    def values(self, title: str) -> Mapping[str, Sequence[str]]:
        """Every aspect's values as the title writes them, in its order; no two overlap."""
        text = normalise(title)
        said = words(text)
        if not said:
            return {}
        features = word_features(text, said, self._reader.mentions(text))
        return values_of_tags(text, said, self._tagger.tag(features))


def word_features(title: str, said: Sequence[Word], mentions: Sequence[Mention]) -> Features:
    """What a word's tag depends on, for each word: itself, its neighbours, and what is known."""
    known = _known(said, mentions)
    alone = [_alone(title, word, tags) for word, tags in zip(said, known, strict=True)]
    between = ["^", *(title[a.end : b.start].strip() for a, b in zip(said, said[1:], strict=False))]
    return [
        [
            f"begins:{min(at, 5)}",
            f"ends:{min(len(said) - 1 - at, 3)}",
            f"before:{between[at]}",
            f"after:{between[at + 1] if at + 1 < len(said) else '$'}",
            *_endings(title, word),
            *_beside(alone, at),
            *_pairs(said, at),
        ]
        for at, word in enumerate(said)
    ]


def _known(said: Sequence[Word], mentions: Sequence[Mention]) -> list[list[str]]:
    """The tags that a reader of terms gives each word."""
    known: list[list[str]] = [[] for _ in said]
    for mention in mentions:
        if mention.span is None:
            continue
        first, end = mention.span
        inside = [at for at, word in enumerate(said) if first <= word.start < end]
        for at, tag in zip(inside, tags_of(mention.aspect, len(inside)), strict=False):
            known[at].append(tag)
    return known


def _alone(title: str, word: Word, known: Sequence[str]) -> list[str]:
    written = title[word.start : word.end]
    return [
        f"word={written.casefold()}",
        f"number={template_of(term_key(written))}",
        f"shape={shape_of(written)}",
        *(f"known={tag}" for tag in known),
    ]


def shape_of(word: str) -> str:
    """A word's kinds of characters, each run of them once.

    >>> shape_of("McDonald's"), shape_of("1000mg")
    ("XxXx'x", '9x')
    """
    kinds = (
        "X" if c.isupper() else "x" if c.isalpha() else "9" if c.isdigit() else c for c in word
    )
    return _RUN.sub(r"\1", "".join(kinds))


def _endings(title: str, word: Word) -> tuple[str, str, str]:
    written = title[word.start : word.end].casefold()
    return f"prefix={written[:3]}", f"suffix={written[-3:]}", f"suffix={written[-2:]}"


def _beside(alone: Sequence[Sequence[str]], at: int) -> Iterator[str]:
    """Features of the words around, each with its distance."""
    for distance in range(-_REACH, _REACH + 1):
        place = at + distance
        inside = 0 <= place < len(alone)
        yield from (f"{distance}:{one}" for one in (alone[place] if inside else ("none",)))


def _pairs(said: Sequence[Word], at: int) -> Iterator[str]:
    """A word with the one before and with the one after."""
    for first, second in ((at - 1, at), (at, at + 1)):
        named = (said[n].stem if 0 <= n < len(said) else "" for n in (first, second))
        yield f"{first - at}:pair={' '.join(named)}"


def _trained(trainer: pycrfsuite.Trainer) -> bytes:
    with TemporaryDirectory() as folder:  # CRFsuite writes to files only
        path = Path(folder) / "tags.crfsuite"
        trainer.train(str(path))
        return path.read_bytes()
