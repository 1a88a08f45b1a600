"""A data set in numbers, as the paper's Table 1 counts it: pairs, queries, items, Good and Bad.

Reads files whole: labelled pairs and pools that fit into memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relevance.domain import Item
from relevance.folds import read_folds, split
from relevance.records import Pair, find_data_set, read_catalogue, read_judgements, read_pairs
from relevance.text import words

HEADINGS = (
    "part",
    "pairs",
    "queries",
    "items",
    "Good",
    "Bad",
    "Bad %",
    "pairs a query",
    "words a query",
    "words a title",
)


@dataclass(frozen=True, slots=True)
class PartStatistics:
    """One part of a data set; `good` and `bad` are labels, or a teacher's verdicts for a pool."""

    part: str
    pairs: int
    queries: int
    items: int
    good: int
    bad: int
    query_words: float
    title_words: float


def part_statistics(
    part: str, pairs: Sequence[Pair], catalogue: Mapping[str, Item]
) -> PartStatistics:
    """Count one part; words are means over its distinct queries and titles."""
    queries, items = {pair.query for pair in pairs}, {pair.item_id for pair in pairs}
    return PartStatistics(
        part=part,
        pairs=len(pairs),
        queries=len(queries),
        items=len(items),
        good=sum(pair.good is True for pair in pairs),
        bad=sum(pair.good is False for pair in pairs),
        query_words=_mean_words(queries),
        title_words=_mean_words(catalogue[i].title for i in items if i in catalogue),
    )


def data_set_statistics(
    data: Path,
    *,
    folds: Path | None = None,
    fold: int | None = None,
    pool: Path | None = None,
    judgements: Path | None = None,
) -> tuple[PartStatistics, ...]:
    """The labelled pairs, one fold's parts where folds are named, and a pool where there is one."""
    found = find_data_set(data)
    catalogue = {item.item_id: item for item in read_catalogue(found.items)}
    labelled = tuple(pair for pair in read_pairs(found.pairs) if pair.good is not None)
    parts = {"labelled": labelled}
    if folds is not None and fold is not None:
        of_fold = split(read_folds(folds), labelled, fold=fold)
        parts |= {
            "train": of_fold.train,
            "validation": of_fold.validation,
            "test": of_fold.test,
        }
    if pool is not None:
        parts["pool"] = _judged(read_pairs(pool), judgements)
    return tuple(part_statistics(name, pairs, catalogue) for name, pairs in parts.items())


def as_markdown(rows: Iterable[PartStatistics]) -> str:
    """The table, a row a part."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _judged(pairs: Sequence[Pair], judgements: Path | None) -> tuple[Pair, ...]:
    """The pool's pairs with the teacher's verdicts as labels, where there are any."""
    if judgements is None:
        return tuple(pairs)
    verdicts = {(j.query, j.item_id): j.log_odds >= 0 for j in read_judgements(judgements)}
    return tuple(
        Pair(pair.query, pair.item_id, verdicts.get((pair.query, pair.item_id))) for pair in pairs
    )


def _cells(row: PartStatistics) -> tuple[str, ...]:
    known = row.good + row.bad
    counts = (row.pairs, row.queries, row.items, row.good, row.bad)
    return (
        row.part,
        *(f"{count:,}" for count in counts),
        f"{100 * row.bad / known:.1f}" if known else "–",
        f"{row.pairs / row.queries:.1f}" if row.queries else "–",
        f"{row.query_words:.1f}",
        f"{row.title_words:.1f}",
    )


def _mean_words(texts: Iterable[str]) -> float:
    counts = [len(words(text)) for text in texts]
    return sum(counts) / len(counts) if counts else 0.0
