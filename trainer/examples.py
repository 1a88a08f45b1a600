"""From pairs and judgements to training examples: texts, labels, targets and evidence factors.

Drops what may not be distilled: a labelled pair's teacher score where the teacher had seen the
label (design §3, row 13) is dropped and counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from relevance.domain import Item, Judgement, Side
from relevance.errors import BadInput
from relevance.evidence import attention_factors
from relevance.item_text import ItemText, item_text
from relevance.records import Pair
from relevance.text import normalise
from trainer.students.texts import TokenisedText, tokenise

SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Example:
    """One pair to learn from. `good` is the human label or the teacher's verdict.

    `log_odds` is None where the teacher's score may not be used; factors are per real token.
    """

    query: str
    query_text: TokenisedText
    item_text: TokenisedText
    good: bool
    human: bool
    log_odds: float | None
    query_factors: tuple[int, ...]
    item_factors: tuple[int, ...]


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
    spans = usable.spans if usable else ()
    return Example(
        query=pair.query,
        query_text=query,
        item_text=item,
        good=pair.good
        if pair.good is not None
        else judgement is not None and judgement.log_odds >= 0,
        human=pair.good is not None,
        log_odds=usable.log_odds if usable else None,
        query_factors=attention_factors(query.offsets, [s for s in spans if s.side is Side.QUERY]),
        item_factors=attention_factors(item.offsets, [s for s in spans if s.side is Side.TITLE]),
    )
