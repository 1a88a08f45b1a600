"""Batches of examples, deterministic by seed: human and pseudo-labels mixed, texts shared.

Human-labelled pairs come a few items of a query at a time, the pool's in its blocks,
in which alike queries share their items. Each distinct query and item of a batch is
encoded once. A step may be split over several batches and processes: every term's denominator is
the whole step's (`Totals`), so the parts' losses and gradients add up to the step's.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import Protocol, TypeVar

import numpy as np
import torch

from trainer.examples import Example
from trainer.recipes import Recipe
from trainer.students.student import PairTexts
from trainer.students.texts import TokenisedText, pad
from trainer.totals import Totals, count_totals, group_of

MOST_BLOCK_PAIRS = 256  # a block of the pool; neighbours that share items are joined up to this
ITEMS_PER_QUERY = 4  # neighbours in a batch: saves encoding queries, keeps contrasts together


class Groupable(Protocol):
    """What steps are drawn and split by: an example, or a row that becomes one later.

    `item_key` is equal for equal item texts, `item_length` grows with the item's tokens.
    """

    @property
    def query(self) -> str:
        """The query, which keeps its pairs together."""
        ...

    @property
    def item_key(self) -> object:
        """Tells item texts apart."""
        ...

    @property
    def item_length(self) -> int:
        """About how many tokens the item has."""
        ...


E = TypeVar("E", bound=Groupable)
H = TypeVar("H", bound=Groupable)
P = TypeVar("P", bound=Groupable)
Groups = Callable[[np.random.Generator], list[Sequence[E]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs as tensors. Factors and tags are (pairs, tokens) over padded positions, 0 where none.

    `log_odds` is NaN where the teacher's score may not be used. `weights` sum to 1 over the step's
    pairs. `lists` numbers the pairs' queries. `signs` is (pairs, query tokens, item tokens).
    `totals` are the whole step's, which this batch may be a part of, as is `scored_weight`, the
    weight of all pairs with a usable score.
    """

    texts: PairTexts
    good: torch.Tensor
    log_odds: torch.Tensor
    weights: torch.Tensor
    lists: torch.Tensor
    query_factors: torch.Tensor
    item_factors: torch.Tensor
    query_tags: torch.Tensor
    item_tags: torch.Tensor
    signs: torch.Tensor
    totals: Totals
    scored_weight: float


def batches(human: Sequence[Example], pseudo: Sequence[Example], recipe: Recipe) -> Iterator[Batch]:
    """Endless batches of `step_examples`, one a step."""
    for examples in step_examples(human, pseudo, recipe):
        yield make_batch(examples, human_share=recipe.human_share)


def step_examples(
    human: Sequence[H],
    pseudo: Sequence[H],
    recipe: Recipe,
    *,
    packed_blocks: Iterator[Sequence[P]] | None = None,
) -> Iterator[Sequence[H | P]]:
    """Endless steps of the recipe's numbers of pairs and blocks, human labels alone without.

    `packed_blocks` take the place of `pseudo`'s blocks: a pool that does not fit into memory.
    """
    by_query = chain.from_iterable(shuffled_for_ever(query_groups(human), recipe.seed))
    in_memory = shuffled_for_ever(in_blocks(pseudo), recipe.seed + 1)
    pooled_blocks: Iterator[Sequence[H | P]] = packed_blocks or in_memory
    while True:
        labelled = list(islice(by_query, recipe.human_pairs))
        pooled = list(chain.from_iterable(islice(pooled_blocks, recipe.pseudo_blocks)))
        yield [*labelled, *pooled]


def split_step(examples: Sequence[E], *, most_pairs: int, parts: int = 1) -> list[list[E]]:
    """A step's pairs in at least `parts` parts of about `most_pairs` each (0: no limit).

    A query's pairs stay together, queries with items of like length meet in one part: there the
    padding is least, and as denominators are the whole step's, nothing else changes. With one part
    the order is kept. A part may be empty where there are fewer queries than parts.
    """
    limit = most_pairs or len(examples)
    count = max(parts, -(-len(examples) // limit))
    if count == 1:
        return [list(examples)]
    by_query: dict[str, list[E]] = {}
    for example in examples:
        by_query.setdefault(example.query, []).append(example)
    by_length = sorted(by_query.values(), key=lambda group: max(e.item_length for e in group))
    split: list[list[E]] = [[] for _ in range(count)]
    placed = 0
    for group in by_length:
        middle = placed + len(group) / 2
        split[min(count - 1, int(count * middle / len(examples)))] += group
        placed += len(group)
    return split


def make_batch(
    examples: Sequence[Example], *, human_share: float = 1.0, totals: Totals | None = None
) -> Batch:
    """Collate examples, each distinct text once.

    Human-labelled pairs weigh `human_share` together, the others the rest, over the whole step,
    which is these examples unless `totals` says otherwise.
    """
    whole = totals or count_totals(examples)
    queries, query_rows = _distinct([example.query_text for example in examples])
    items, item_rows = _distinct([example.item_text for example in examples])
    query_batch, item_batch = pad(queries), pad(items)
    query_is_token, item_is_token = query_batch.is_token[query_rows], item_batch.is_token[item_rows]
    unusable = float("nan")
    return Batch(
        texts=PairTexts(query_batch, item_batch, torch.tensor(query_rows), torch.tensor(item_rows)),
        good=torch.tensor([float(example.good) for example in examples]),
        log_odds=torch.tensor([unusable if e.log_odds is None else e.log_odds for e in examples]),
        weights=whole.group_weights(human_share)[[group_of(example) for example in examples]],
        lists=torch.tensor(_numbered([example.query for example in examples])),
        query_factors=_placed(query_is_token, [example.query_factors for example in examples]),
        item_factors=_placed(item_is_token, [example.item_factors for example in examples]),
        query_tags=_placed(query_is_token, [e.query_tags for e in examples]).long(),
        item_tags=_placed(item_is_token, [e.item_tags for e in examples]).long(),
        signs=_signs(query_is_token, item_is_token, [example.cells for example in examples]),
        totals=whole,
        scored_weight=whole.scored_weight(human_share),
    )


def shuffled_for_ever(groups: Groups[E], seed: int) -> Iterator[Sequence[E]]:
    """Groups for ever: each epoch all of them, shuffled."""
    random = np.random.default_rng(seed)
    while drawn := groups(random):
        for position in random.permutation(len(drawn)):
            yield drawn[position]


def query_groups(examples: Sequence[E]) -> Groups[E]:
    """Every example once an epoch, in shuffled groups of a few items of one query."""
    by_query: dict[str, list[int]] = {}
    for position, example in enumerate(examples):
        by_query.setdefault(example.query, []).append(position)

    def groups(random: np.random.Generator) -> list[Sequence[E]]:
        found: list[Sequence[E]] = []
        for positions in by_query.values():
            shuffled = random.permutation(positions)
            parts = np.array_split(shuffled, -(-len(shuffled) // ITEMS_PER_QUERY))
            found += [[examples[at] for at in part] for part in parts]
        return found

    return groups


def in_blocks(examples: Sequence[E]) -> Groups[E]:
    """Every example once an epoch, in the pool's blocks: queries in a row that share items.

    In a small catalogue all blocks may share some; `MOST_BLOCK_PAIRS` keeps a step's cost bounded.
    """
    blocks = list(pool_blocks(examples))
    return lambda _: blocks


def pool_blocks(examples: Iterable[E]) -> Iterator[Sequence[E]]:
    """The blocks one after another; holds one of them at a time."""
    block: list[E] = []
    items: set[object] = set()
    for _, group in groupby(examples, key=lambda example: example.query):
        members = list(group)
        texts = {example.item_key for example in members}
        if block and (items.isdisjoint(texts) or len(block) + len(members) > MOST_BLOCK_PAIRS):
            yield block
            block, items = [], set()
        block = [*block, *members]
        items |= texts
    if block:
        yield block


def _distinct(texts: Sequence[TokenisedText]) -> tuple[list[TokenisedText], list[int]]:
    rows: dict[tuple[int, ...], int] = {}
    distinct: list[TokenisedText] = []
    for text in texts:
        if text.ids not in rows:
            rows[text.ids] = len(distinct)
            distinct.append(text)
    return distinct, [rows[text.ids] for text in texts]


def _placed(is_token: torch.Tensor, values: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Put per-token values where the pair's real tokens stand."""
    placed = torch.zeros(is_token.shape)
    flat = [value for row in values for value in row]
    placed[is_token] = torch.tensor(flat, dtype=placed.dtype)  # row-major on both sides
    return placed


def _signs(
    query_is_token: torch.Tensor,
    item_is_token: torch.Tensor,
    cells: Sequence[tuple[tuple[int, int, int], ...]],
) -> torch.Tensor:
    """The cells' signs at padded positions: (pairs, query positions, item positions)."""
    signs = torch.zeros((len(cells), query_is_token.shape[1], item_is_token.shape[1]))
    for pair, of_pair in enumerate(cells):
        if of_pair:
            rows, columns, values = torch.tensor(of_pair).T
            query_at = query_is_token[pair].nonzero()[:, 0]
            item_at = item_is_token[pair].nonzero()[:, 0]
            signs[pair, query_at[rows], item_at[columns]] = values.float()
    return signs


def _numbered(names: Sequence[str]) -> list[int]:
    numbers = {name: at for at, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]
