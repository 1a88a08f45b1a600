"""Batches of examples, deterministic by seed: a few items per query, human and pseudo-labels mixed.

Each distinct query and item of a batch is encoded once; `query_rows` and `item_rows` say which
row a pair's texts stand in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from trainer.examples import Example
from trainer.students.texts import TextBatch, TokenisedText, pad

ITEMS_PER_QUERY = 4  # neighbours in a batch: saves encoding queries, keeps contrasts together


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as tensors. Factors are (pairs, tokens) over padded positions, 0 where no evidence.

    `log_odds` is NaN where the teacher's score may not be used.
    """

    queries: TextBatch
    items: TextBatch
    query_rows: torch.Tensor
    item_rows: torch.Tensor
    good: torch.Tensor
    log_odds: torch.Tensor
    query_factors: torch.Tensor
    item_factors: torch.Tensor


def batches(
    human: Sequence[Example],
    pseudo: Sequence[Example],
    *,
    pairs: int,
    human_share: float,
    seed: int,
) -> Iterator[Batch]:
    """Endless batches with a fixed share of human-labelled pairs (all of them without a pool)."""
    share = human_share if pseudo else 1.0
    of_human = round(pairs * share)
    humans, pseudos = _stream(human, seed), _stream(pseudo, seed + 1)
    while True:
        chosen = [*islice(humans, of_human), *islice(pseudos, pairs - of_human)]
        yield make_batch(chosen)


def make_batch(examples: Sequence[Example]) -> Batch:
    """Collate examples, each distinct text once."""
    queries, query_rows = _distinct([example.query_text for example in examples])
    items, item_rows = _distinct([example.item_text for example in examples])
    query_batch, item_batch = pad(queries), pad(items)
    unusable = float("nan")
    return Batch(
        queries=query_batch,
        items=item_batch,
        query_rows=torch.tensor(query_rows),
        item_rows=torch.tensor(item_rows),
        good=torch.tensor([float(example.good) for example in examples]),
        log_odds=torch.tensor([unusable if e.log_odds is None else e.log_odds for e in examples]),
        query_factors=_factors(
            query_batch.is_token[query_rows], [example.query_factors for example in examples]
        ),
        item_factors=_factors(
            item_batch.is_token[item_rows], [example.item_factors for example in examples]
        ),
    )


def _stream(examples: Sequence[Example], seed: int) -> Iterator[Example]:
    """The examples for ever, each once an epoch, in shuffled groups of one query's items."""
    if not examples:
        return
    random = np.random.default_rng(seed)
    by_query: dict[str, list[int]] = {}
    for position, example in enumerate(examples):
        by_query.setdefault(example.query, []).append(position)
    while True:
        groups = []
        for positions in by_query.values():
            shuffled = random.permutation(positions)
            groups += np.array_split(shuffled, -(-len(shuffled) // ITEMS_PER_QUERY))
        for group in random.permutation(len(groups)):
            for position in groups[group]:
                yield examples[position]


def _distinct(texts: Sequence[TokenisedText]) -> tuple[list[TokenisedText], list[int]]:
    rows: dict[tuple[int, ...], int] = {}
    distinct: list[TokenisedText] = []
    for text in texts:
        if text.ids not in rows:
            rows[text.ids] = len(distinct)
            distinct.append(text)
    return distinct, [rows[text.ids] for text in texts]


def _factors(is_token: torch.Tensor, factors: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Put per-token factors where the pair's real tokens stand."""
    placed = torch.zeros(is_token.shape)
    flat = [value for row in factors for value in row]
    placed[is_token] = torch.tensor(flat, dtype=placed.dtype)  # row-major on both sides
    return placed
