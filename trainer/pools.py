"""The pool: unlabelled pairs for the teacher to judge, and zero-shot similarities of all pairs.

Candidates are drawn from the nearest items of alike queries, a few of them at random, as a search
engine would show them with noise. Which of them a fold may use is decided by `relevance.folds`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from relevance.atomic import replacing_file
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.records import Pair
from trainer.students.backbone import Backbone
from trainer.zero_shot import ZeroShot, encode_zero_shot

NEAREST = 24  # a query's candidates are its nearest items
BLOCK_QUERIES, BLOCK_ITEMS = 8, 16
QUERY_TOKENS, TITLE_TOKENS, TEXT_TOKENS = 16, 32, 80
SIMILARITY_COLUMNS = (
    *("mean_maxsim_title", "mean_maxsim_text"),
    *("min_maxsim_title", "min_maxsim_text"),  # of the query's worst token
    *("cosine_title", "cosine_text"),
)


@dataclass(frozen=True, slots=True)
class EncodedShop:
    """Zero-shot encodings of every query, title and full text of a data set."""

    query_rows: Mapping[str, int]
    item_rows: Mapping[str, int]
    queries: ZeroShot
    titles: ZeroShot
    texts: ZeroShot


def full_text(item: Item) -> str:
    """Everything the catalogue says of an item in words, most telling fields first."""
    parts = (item.title, item.brand, item.color, item.category_path, item.bullet_points)
    return " ".join(part for part in (*parts, item.description) if part)


def encode_shop(backbone: Backbone, queries: Sequence[str], items: Sequence[Item]) -> EncodedShop:
    """Encode a data set once for candidates and similarities."""
    for what, found in (("queries", queries), ("items", items)):
        if not found:
            raise BadInput(f"{what}: expected at least one to draw a pool from, got none")
    return EncodedShop(
        {query: row for row, query in enumerate(queries)},
        {item.item_id: row for row, item in enumerate(items)},
        encode_zero_shot(backbone, queries, length=QUERY_TOKENS, what="queries"),
        encode_zero_shot(backbone, [i.title for i in items], length=TITLE_TOKENS, what="titles"),
        encode_zero_shot(
            backbone, [full_text(i) for i in items], length=TEXT_TOKENS, what="full texts"
        ),
    )


def draw_pool(
    shop: EncodedShop,
    known: Iterable[Pair],
    *,
    block_queries: int = BLOCK_QUERIES,
    random_share: float,
    seed: int,
) -> list[Pair]:
    """Unlabelled pairs in blocks: alike queries, each with every item drawn for the block.

    A student encodes a block's few texts once and learns from all their pairs, near misses of one
    another. Pairs of a block follow each other; none is among the `known` pairs.
    """
    random = np.random.default_rng(seed)
    queries, item_ids = list(shop.query_rows), list(shop.item_rows)
    taken = {(pair.query, pair.item_id) for pair in known}
    nearest = _nearest(shop.queries.pooled, shop.titles.pooled)
    pool = []
    for block in query_blocks(shop.queries.pooled, size=block_queries):
        candidates = np.unique(nearest[block])
        at_random = random.binomial(BLOCK_ITEMS, random_share)
        near = random.permutation(candidates)[: BLOCK_ITEMS - at_random]
        far = random.integers(0, len(item_ids), at_random)
        drawn = dict.fromkeys(item_ids[at] for at in (*near, *far))
        pairs = (Pair(queries[row], item_id) for row in block for item_id in drawn)
        pool += [pair for pair in pairs if (pair.query, pair.item_id) not in taken]
    return pool


def query_blocks(vectors: np.ndarray, *, size: int = BLOCK_QUERIES) -> list[np.ndarray]:
    """Rows of the queries in blocks of alike ones: each first free query with its nearest free."""
    free = np.ones(len(vectors), dtype=bool)
    blocks = []
    for row in range(len(vectors)):
        if free[row]:
            rows = np.flatnonzero(free)
            order = np.argsort(-(vectors[rows] @ vectors[row]), kind="stable")
            block = rows[order[:size]]
            free[block] = False
            free[row] = False  # a zero vector is not its own nearest
            blocks.append(np.union1d(block, [row]))
    return blocks


def write_similarities(path: Path, shop: EncodedShop, pairs: Sequence[Pair]) -> None:
    """Write the teacher's similarity columns, float32, one row a pair."""
    rows = [_similarities(shop, pair) for pair in tqdm(pairs, desc="similarities", unit="pair")]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(SIMILARITY_COLUMNS)}
    table = pa.table(
        {
            "query": [pair.query for pair in pairs],
            "item_id": [pair.item_id for pair in pairs],
            **{name: pa.array(values, pa.float32()) for name, values in columns.items()},
        }
    )
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _nearest(queries: np.ndarray, titles: np.ndarray) -> np.ndarray:
    count = min(NEAREST, len(titles))
    chunks = [
        np.argpartition(-(queries[start : start + 512] @ titles.T), count - 1, axis=1)[:, :count]
        for start in range(0, len(queries), 512)
    ]
    return np.sort(np.concatenate(chunks), axis=1)


def _similarities(shop: EncodedShop, pair: Pair) -> tuple[float, ...]:
    """The pair's value of each of `SIMILARITY_COLUMNS`, in their order."""
    query, item = shop.query_rows[pair.query], shop.item_rows[pair.item_id]
    tokens, vector = shop.queries.tokens[query], shop.queries.pooled[query]
    sides = (shop.titles, shop.texts)
    title, text = (_maxsims(tokens, side.tokens[item]) for side in sides)
    cosines = (float(vector @ side.pooled[item]) for side in sides)
    return (title.mean, text.mean, title.least, text.least, *cosines)


class _MaxSims(NamedTuple):
    """Mean and least over the query's tokens of each one's largest cosine in the item."""

    mean: float
    least: float


def _maxsims(query: torch.Tensor, item: torch.Tensor) -> _MaxSims:
    """0 where a side has no token: a neutral value for a feature, not a score."""
    if not len(query) or not len(item):
        return _MaxSims(0.0, 0.0)
    largest = (query.float() @ item.float().T).amax(dim=1)
    return _MaxSims(float(largest.mean()), float(largest.min()))
