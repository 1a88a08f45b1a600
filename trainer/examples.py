"""From pairs and judgements to training examples: texts, labels, targets and evidence factors.

Drops what may not be distilled: a labelled pair's teacher score where the teacher had seen the
label (design §3, row 13) is dropped and counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from relevance.domain import EvidenceSpan, Item, Judgement, Relevance, Side
from relevance.errors import BadInput
from relevance.evidence import attention_factors, bio_tags
from relevance.item_text import ItemText, item_text
from relevance.records import Pair
from relevance.text import normalise
from trainer.students.texts import TokenisedText, tokenise

SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Example:
    """One pair to learn from. `good` is the human label or the teacher's verdict.

    `log_odds` is None where the teacher's score may not be used. Factors and tags are per real
    token, two readings of the same spans; `cells` are (query token, item token, sign) of what the
    chain of thought sets against each other: +1 where the item answers, −1 where it contradicts.
    """

    query: str
    query_text: TokenisedText
    item_text: TokenisedText
    good: bool
    human: bool
    log_odds: float | None
    query_factors: tuple[int, ...]
    item_factors: tuple[int, ...]
    query_tags: tuple[int, ...]
    item_tags: tuple[int, ...]
    cells: tuple[tuple[int, int, int], ...] = ()

    @property
    def item_key(self) -> object:
        """Equal for equal item texts."""
        return self.item_text.ids

    @property
    def item_length(self) -> int:
        """Real tokens of the item: what a bucket is made by."""
        return len(self.item_text.offsets)


@dataclass(frozen=True, slots=True)
class TextTable:
    """Every query and item of a data set, tokenised once."""

    queries: Mapping[str, TokenisedText]
    items: Mapping[str, TokenisedText]


@dataclass(frozen=True, slots=True)
class TextLengths:
    """How much of a text a student reads, and what of an item."""

    query_tokens: int
    item_tokens: int
    item_text: ItemText


def tokenise_texts(
    tokenizer: Tokenizer,
    pairs: Iterable[Pair],
    catalogue: Mapping[str, Item],
    lengths: TextLengths,
) -> TextTable:
    """Tokenise each distinct query and item of `pairs`."""
    kept = tuple(pairs)
    queries = list(dict.fromkeys(pair.query for pair in kept))
    ids = list(dict.fromkeys(pair.item_id for pair in kept))
    absent = [item_id for item_id in ids if item_id not in catalogue]
    if absent:
        raise BadInput(f"pairs: {len(absent)} items not in the catalogue, such as `{absent[0]}`")
    texts = [item_text(catalogue[item_id], lengths.item_text) for item_id in ids]
    tokenised_queries = tokenise(
        tokenizer, [normalise(query) for query in queries], length=lengths.query_tokens
    )
    tokenised_items = tokenise(tokenizer, texts, length=lengths.item_tokens)
    return TextTable(
        dict(zip(queries, tokenised_queries, strict=True)),
        dict(zip(ids, tokenised_items, strict=True)),
    )


def make_examples(
    pairs: Sequence[Pair], texts: TextTable, judgements: Mapping[tuple[str, str], Judgement]
) -> tuple[list[Example], Counter[str]]:
    """One example per pair that has a label of either kind, and what was dropped or missing.

    Counts: `no_label` (left out), `no_tokens` (left out), `seen` (teacher's score dropped).
    """
    counts: Counter[str] = Counter()
    examples = []
    for pair in pairs:
        judgement = judgements.get((pair.query, pair.item_id))
        query, item = texts.queries[pair.query], texts.items[pair.item_id]
        if pair.good is None and judgement is None:
            counts["no_label"] += 1
        elif not query.offsets or not item.offsets:
            counts["no_tokens"] += 1
        else:
            examples.append(_example(pair, judgement, query, item, counts))
    return examples, counts


def make_example(
    query: str,
    query_text: TokenisedText,
    item_text: TokenisedText,
    *,
    good: bool | None,
    log_odds: float | None,
    spans: Sequence[EvidenceSpan],
) -> Example:
    """One example; without a human label (`good`) the sign of the log-odds is its label."""
    evidence = _evidence(query_text, item_text, spans)
    return Example(
        query=query,
        query_text=query_text,
        item_text=item_text,
        good=good if good is not None else log_odds is not None and log_odds >= 0,
        human=good is not None,
        log_odds=log_odds,
        query_factors=evidence.query_factors,
        item_factors=evidence.item_factors,
        query_tags=evidence.query_tags,
        item_tags=evidence.item_tags,
        cells=evidence.cells,
    )


def _example(
    pair: Pair,
    judgement: Judgement | None,
    query: TokenisedText,
    item: TokenisedText,
    counts: Counter[str],
) -> Example:
    seen = judgement is not None and pair.good is not None and judgement.held_out_of in (None, SEEN)
    counts["seen"] += seen
    usable = judgement if not seen else None
    return make_example(
        pair.query,
        query,
        item,
        good=pair.good,
        log_odds=usable.log_odds if usable else None,
        spans=usable.spans if usable else (),
    )


@dataclass(frozen=True, slots=True)
class _Evidence:
    query_factors: tuple[int, ...]
    item_factors: tuple[int, ...]
    query_tags: tuple[int, ...]
    item_tags: tuple[int, ...]
    cells: tuple[tuple[int, int, int], ...]


def _evidence(
    query: TokenisedText, item: TokenisedText, spans: Sequence[EvidenceSpan]
) -> _Evidence:
    asked = [span for span in spans if span.side is Side.QUERY]
    offered = [span for span in spans if span.side is Side.TITLE]
    query_tags, item_tags = bio_tags(query.offsets, asked), bio_tags(item.offsets, offered)
    return _Evidence(
        attention_factors(query_tags),
        attention_factors(item_tags),
        tuple(int(tag) for tag in query_tags),
        tuple(int(tag) for tag in item_tags),
        _paired_cells(query, item, asked, offered),
    )


def _paired_cells(
    query: TokenisedText,
    item: TokenisedText,
    asked: Sequence[EvidenceSpan],
    offered: Sequence[EvidenceSpan],
) -> tuple[tuple[int, int, int], ...]:
    """Every token of an asked span with every token of the offered spans of the same aspect.

    The sign is the offered span's; where two speak of one cell, irrelevant beats relevant.
    """
    signs: dict[tuple[int, int], int] = {}
    for there in sorted(offered, key=lambda span: span.relevance is Relevance.IRRELEVANT):
        sign = -1 if there.relevance is Relevance.IRRELEVANT else 1
        for here in (span for span in asked if span.aspect == there.aspect):
            rows, columns = _touched(query, here), _touched(item, there)
            signs |= {(row, column): sign for row in rows for column in columns}
    return tuple((row, column, sign) for (row, column), sign in sorted(signs.items()))


def _touched(text: TokenisedText, span: EvidenceSpan) -> list[int]:
    return [
        at
        for at, (start, end) in enumerate(text.offsets)
        if start < end and span.start < end and start < span.end
    ]
