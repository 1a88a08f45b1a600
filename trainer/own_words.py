"""Texts and random parts of their own words: what self-supervised adaptation learns from.

A shopper's query is mostly a few of an item's words in their order, so a part of a text stands for
a query and the text for the item it is after (the inverse cloze task of Lee et al., ACL 2019, with
scattered words instead of a sentence). Neither labels nor a teacher are looked at.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.item_text import ItemText, item_text
from relevance.records import Pair
from relevance.text import normalise
from trainer.recipes import Adaptation
from trainer.students.texts import TokenisedText, tokenise

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class UnlabelledTexts:
    """The distinct normalised queries and item texts of a pool."""

    queries: tuple[str, ...]
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WholeText:
    """A text as the encoder reads it, and those of its words that are not cut away."""

    words: tuple[str, ...]
    text: TokenisedText


@dataclass(frozen=True, slots=True)
class OwnWords:
    """A text and some of its words, in their order."""

    words: str
    whole: TokenisedText


def texts_of_pool(
    pool: Iterable[Pair], catalogue: Mapping[str, Item], template: ItemText
) -> UnlabelledTexts:
    """The pool's texts; `BadInput` where an item is not in the catalogue."""
    queries: dict[str, None] = {}
    items: dict[str, None] = {}
    for pair in pool:
        if pair.item_id not in catalogue:
            raise BadInput(f"pool: item `{pair.item_id}` is not in the catalogue")
        queries[normalise(pair.query)] = None
        items[item_text(catalogue[pair.item_id], template)] = None
    return UnlabelledTexts(tuple(queries), tuple(items))


def read_wholes(tokenizer: Tokenizer, texts: Sequence[str], *, length: int) -> list[WholeText]:
    """The texts cut to `length` real tokens; of equal ones the first, none of a single word.

    Two texts that the encoder cannot tell apart would be each other's negatives, and one word has
    no part.
    """
    found: dict[tuple[int, ...], WholeText] = {}
    for text, tokenised in zip(texts, tokenise(tokenizer, texts, length=length), strict=True):
        words = _read_words(text, tokenised)
        if len(words) > 1:
            found.setdefault(tokenised.ids, WholeText(words, tokenised))
    return list(found.values())


def own_words_steps(
    kinds: Sequence[Sequence[WholeText]], adaptation: Adaptation
) -> Iterator[list[OwnWords]]:
    """Endless steps of at most `adaptation.texts` texts of one kind, the same for a seed.

    Each epoch has every text once, its words drawn anew. A step's texts are of one kind, since a
    query is too easily told from a title. Raises `BadInput` where no kind has two texts.
    """
    usable = [kind for kind in kinds if len(kind) > 1]
    if not usable:
        counts = [len(kind) for kind in kinds]
        raise BadInput(f"texts: expected at least 2 of one kind with 2 words each, got {counts}")
    return _endless(usable, adaptation)


def _endless(
    kinds: Sequence[Sequence[WholeText]], adaptation: Adaptation
) -> Iterator[list[OwnWords]]:
    random = np.random.default_rng(adaptation.seed)
    while True:
        steps = [
            [kind[at] for at in part]
            for kind in kinds
            for part in np.array_split(
                random.permutation(len(kind)), -(-len(kind) // adaptation.texts)
            )
        ]
        for number in random.permutation(len(steps)):
            yield [_drawn(whole, adaptation, random) for whole in steps[number]]


def _drawn(whole: WholeText, adaptation: Adaptation, random: np.random.Generator) -> OwnWords:
    """A random share of the words, at least one, not all, and not more than a query has tokens."""
    count = len(whole.words)
    share = random.uniform(adaptation.least_share, adaptation.most_share)
    kept = min(max(1, round(share * count)), count - 1, adaptation.query_tokens)
    chosen = np.sort(random.permutation(count)[:kept])
    return OwnWords(" ".join(whole.words[at] for at in chosen), whole.text)


def _read_words(text: str, tokenised: TokenisedText) -> tuple[str, ...]:
    """The words of which the encoder reads at least the beginning."""
    read = {at for start, end in tokenised.offsets for at in range(start, end)}
    return tuple(
        word[0] for word in _WORD.finditer(text) if not read.isdisjoint(range(*word.span()))
    )
