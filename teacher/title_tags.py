"""Titles as sequences of tagged words: where human-marked values begin and go on, and back.

BIO by aspect: `B-color` begins a colour, `I-color` goes on with it, `O` is no value. Which tags a
title gets is learnt in `title_tagger.py`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from relevance.text import words as compared_words
from teacher.online.words import Word

OUTSIDE = "O"


def tags_of_values(
    title: str, said: Sequence[Word], values: Mapping[str, Sequence[str]]
) -> list[str]:
    """A tag for each word of a title: a value is marked at its first free place, longest first.

    A value that the title does not say in these words marks nothing.
    """
    parts = [compared_words(title[word.start : word.end]) for word in said]
    tags = [OUTSIDE] * len(said)
    wanted = [(compared_words(text), aspect) for aspect, texts in values.items() for text in texts]
    for value, aspect in sorted(wanted, key=lambda one: -len(one[0])):
        free = (
            (start, stop)
            for start, stop in _places(parts, value)
            if all(tag == OUTSIDE for tag in tags[start:stop])
        )
        if place := next(free, None):
            start, stop = place
            tags[start:stop] = tags_of(aspect, stop - start)
    return tags


def tags_of(aspect: str, length: int) -> list[str]:
    """The tags of one value of so many words.

    >>> tags_of("color", 2)
    ['B-color', 'I-color']
    """
    return [f"B-{aspect}", *[f"I-{aspect}"] * (length - 1)]


def values_of_tags(
    title: str, said: Sequence[Word], tags: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """Every aspect's values as written; an `I` that continues nothing of its aspect is no value."""
    values: dict[str, list[str]] = defaultdict(list)
    for at, tag in enumerate(tags):
        if tag.startswith("B-"):
            last = at
            while last + 1 < len(tags) and tags[last + 1] == f"I-{tag[2:]}":
                last += 1
            values[tag[2:]].append(title[said[at].start : said[last].end])
    return dict(values)


def _places(parts: Sequence[tuple[str, ...]], value: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Runs of words `[start, stop)` that say a value: "Women's" is one word here and two there."""
    for start in range(len(parts)):
        run: tuple[str, ...] = ()
        for stop in range(start, len(parts)):
            run += parts[stop]
            if run == value and parts[start]:
                yield start, stop + 1
            if len(run) >= len(value):
                break
