"""Evidence spans, BIO tags and attention factors, each derived through character offsets.

Never through one tokenizer's ids: `Offsets` are `[start, end)` in characters, one per real token.
Which terms to look for and how much they weigh are the teacher's and the trainer's business.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum

from relevance.domain import EvidenceSpan, Relevance
from relevance.text import fold, is_unspaced, is_word_character, normalise

Offsets = Sequence[tuple[int, int]]


class Tag(IntEnum):
    """A token's place in the evidence; the numbers are the student's tag ids.

    O: no evidence; B_…: a span's first token; I_…: its further tokens.
    """

    O = 0  # noqa: E741 -- the tag's name in every paper
    B_RELEVANT = 1
    I_RELEVANT = 2
    B_IRRELEVANT = 3
    I_IRRELEVANT = 4


def find_occurrences(text: str, term: str) -> tuple[tuple[int, int], ...]:
    """Every `[start, end)` at which `term` stands in the normalised `text`, case folded.

    Left to right, without overlaps. A match begins and ends at word boundaries, and never inside
    a number; scripts written without spaces match anywhere. An empty term stands nowhere.

    >>> find_occurrences("Red bottle, red lid, bored", "RED")
    ((0, 3), (12, 15))
    >>> find_occurrences("不锈钢保温杯", "保温")
    ((3, 5),)
    """
    return tuple(_occurrences(text, fold(normalise(term)).text))


def bio_tags(offsets: Offsets, spans: Sequence[EvidenceSpan]) -> tuple[Tag, ...]:
    """One tag a token: B for the first piece of a span, I for the rest, O elsewhere.

    A token belongs to a span it shares a character with; irrelevant beats relevant, then the
    earlier span wins. Tokens of zero width get O. I follows only B or I of its own kind.
    Raises ValueError where the spans are of two sides.
    """
    owners = _owners(offsets, spans)
    tags = []
    for previous, owner in zip([None, *owners], owners, strict=False):
        first, further = _TAGS[None if owner is None else owner.relevance]
        tags.append(further if owner is previous else first)
    return tuple(tags)


def attention_factors(tags: Sequence[Tag]) -> tuple[int, ...]:
    """What each token's attention is pulled towards: +1 relevant, -1 irrelevant, 0 no evidence.

    The paper's factors (Eq. 8), read off the tokens' `bio_tags`.
    """
    return tuple(_FACTORS[tag] for tag in tags)


def spans_of_tags(offsets: Offsets, tags: Sequence[Tag]) -> tuple[tuple[int, int, Relevance], ...]:
    """The `(start, end, relevance)` of each tagged run of tokens, left to right.

    An I that continues nothing opens a span, as in the CoNLL evaluation: a decoder without
    transition rules is read, not refused. Tokens of zero width are passed over.
    """
    spans: list[tuple[int, int, Relevance]] = []
    previous = Tag.O
    for (start, end), tag in zip(offsets, tags, strict=True):
        if start >= end:
            continue
        relevance = _RELEVANCE[tag]
        if relevance is not None:
            continues = tag in _FURTHER and _RELEVANCE[previous] is relevance
            opened = spans.pop()[0] if continues else start
            spans.append((opened, end, relevance))
        previous = tag
    return tuple(spans)


_TAGS: dict[Relevance | None, tuple[Tag, Tag]] = {
    None: (Tag.O, Tag.O),
    Relevance.RELEVANT: (Tag.B_RELEVANT, Tag.I_RELEVANT),
    Relevance.IRRELEVANT: (Tag.B_IRRELEVANT, Tag.I_IRRELEVANT),
}
_RELEVANCE = {tag: relevance for relevance, pair in _TAGS.items() for tag in pair}
_FURTHER = frozenset({Tag.I_RELEVANT, Tag.I_IRRELEVANT})
_FACTORS = {
    tag: {None: 0, Relevance.RELEVANT: 1, Relevance.IRRELEVANT: -1}[relevance]
    for tag, relevance in _RELEVANCE.items()
}


def _owners(offsets: Offsets, spans: Sequence[EvidenceSpan]) -> list[EvidenceSpan | None]:
    """The span each token belongs to."""
    sides = {span.side for span in spans}
    if len(sides) > 1:
        raise ValueError(f"evidence spans: expected one side, got {' and '.join(sorted(sides))}")
    by_precedence = sorted(
        spans, key=lambda s: (s.relevance is not Relevance.IRRELEVANT, s.start, s.end)
    )
    return [_owner(start, end, by_precedence) for start, end in offsets]


def _owner(start: int, end: int, by_precedence: list[EvidenceSpan]) -> EvidenceSpan | None:
    if start >= end:
        return None
    touching = (span for span in by_precedence if span.start < end and start < span.end)
    return next(touching, None)


def _occurrences(text: str, term: str) -> Iterator[tuple[int, int]]:
    folded = fold(text)
    start = folded.text.find(term) if term else -1
    while start >= 0:
        end = start + len(term)
        if _is_boundary(folded.text, start) and _is_boundary(folded.text, end):
            yield folded.original_span(start, end)
        else:
            end = start + 1
        start = folded.text.find(term, end)


def _is_boundary(text: str, at: int) -> bool:
    """Whether neither a word nor a number goes on across the offset `at`."""
    before, after = text[at - 1 : at], text[at : at + 1]
    if not before or not after:
        return True
    if is_unspaced(before) or is_unspaced(after):
        return True
    if is_word_character(before) and is_word_character(after):
        return False
    return not _splits_number(text, at)


def _splits_number(text: str, at: int) -> bool:
    """Whether a point or comma between two digits touches `at`: 1 is not found in 1.5."""
    around = (text[max(at - 2, 0) : at + 1], text[max(at - 1, 0) : at + 2])
    return any(len(w) == 3 and w[0].isdigit() and w[1] in ".," and w[2].isdigit() for w in around)
