"""Batches of examples, deterministic by seed: human and pseudo-labels mixed, texts shared.

Human-labelled pairs come a few items of a query at a time, the pool's in its blocks,
in which alike queries share their items. Each distinct query and item of a batch is
encoded once; `query_rows` and `item_rows` say which row a pair's texts stand in.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice

import numpy as np
import torch

from trainer.examples import Example
from trainer.recipes import Recipe
from trainer.students.texts import TextBatch, TokenisedText, pad

MOST_BLOCK_PAIRS = 256  # a block of the pool; neighbours that share items are joined up to this
ITEMS_PER_QUERY = 4  # neighbours in a batch: saves encoding queries, keeps contrasts together


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as tensors. Factors are (pairs, tokens) over padded positions, 0 where no evidence.

    `log_odds` is NaN where the teacher's score may not be used. `weights` sum to 1.
    """

    queries: TextBatch
    items: TextBatch
    query_rows: torch.Tensor
    item_rows: torch.Tensor
    good: torch.Tensor
    log_odds: torch.Tensor
    weights: torch.Tensor
    query_factors: torch.Tensor
    item_factors: torch.Tensor


def batches(human: Sequence[Example], pseudo: Sequence[Example], recipe: Recipe) -> Iterator[Batch]:
    """Endless batches of the recipe's numbers of pairs and blocks, human labels alone without."""
    labelled_groups = _stream(_query_groups(human), recipe.seed)
    pooled_blocks = _stream(_blocks(pseudo), recipe.seed + 1)
    by_query = chain.from_iterable(labelled_groups)
    while True:
        labelled = list(islice(by_query, recipe.human_pairs))
        pooled = list(chain.from_iterable(islice(pooled_blocks, recipe.pseudo_blocks)))
        yield make_batch([*labelled, *pooled], human_share=recipe.human_share if pooled else 1.0)


def make_batch(examples: Sequence[Example], *, human_share: float = 1.0) -> Batch:
    """Collate examples, each distinct text once.

    Human-labelled pairs weigh `human_share` together, the others the rest.
    """
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
        weights=_weights(examples, human_share),
        query_factors=_factors(
            query_batch.is_token[query_rows], [example.query_factors for example in examples]
        ),
        item_factors=_factors(
            item_batch.is_token[item_rows], [example.item_factors for example in examples]
        ),
    )


Groups = Callable[[np.random.Generator], list[Sequence[Example]]]


def _stream(groups: Groups, seed: int) -> Iterator[Sequence[Example]]:
    """Groups for ever: each epoch all of them, shuffled."""
    random = np.random.default_rng(seed)
    while drawn := groups(random):
        for position in random.permutation(len(drawn)):
            yield drawn[position]


def _query_groups(examples: Sequence[Example]) -> Groups:
    """Every example once an epoch, in shuffled groups of a few items of one query."""
    by_query: dict[str, list[int]] = {}
    for position, example in enumerate(examples):
        by_query.setdefault(example.query, []).append(position)

    def groups(random: np.random.Generator) -> list[Sequence[Example]]:
        found: list[Sequence[Example]] = []
        for positions in by_query.values():
            shuffled = random.permutation(positions)
            parts = np.array_split(shuffled, -(-len(shuffled) // ITEMS_PER_QUERY))
            found += [[examples[at] for at in part] for part in parts]
        return found

    return groups


def _blocks(examples: Sequence[Example]) -> Groups:
    """Every example once an epoch, in the pool's blocks: queries in a row that share items.

    In a small catalogue all blocks may share some; `MOST_BLOCK_PAIRS` keeps a step's cost bounded.
    """
    blocks: list[Sequence[Example]] = []
    items: set[tuple[int, ...]] = set()
    for _, group in groupby(examples, key=lambda example: example.query):
        members = list(group)
        texts = {example.item_text.ids for example in members}
        full = blocks and len(blocks[-1]) + len(members) > MOST_BLOCK_PAIRS
        if items.isdisjoint(texts) or full:
            blocks.append(members)
            items = texts
        else:
            blocks[-1] = [*blocks[-1], *members]
            items |= texts
    return lambda _: blocks


def _weights(examples: Sequence[Example], human_share: float) -> torch.Tensor:
    """Human-labelled pairs weigh alike; of the others the Good weigh as much as the Bad.

    A pool is mostly Bad, human labels are not: unbalanced, the pool would teach the bias another
    share of Good than the one it is calibrated for.
    """
    group = torch.tensor([0 if e.human else 1 + int(e.good) for e in examples])
    present = torch.bincount(group, minlength=3) > 0
    pseudo_share = (1.0 - human_share) if present[0] else 1.0
    pseudo_groups = int(present[1:].sum())
    mass = torch.tensor([human_share if pseudo_groups else 1.0, 0.0, 0.0])
    mass[1:] = pseudo_share / max(1, pseudo_groups) * present[1:]
    return (mass / torch.bincount(group, minlength=3).clamp(min=1))[group]


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
