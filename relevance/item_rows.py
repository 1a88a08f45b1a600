"""An item's token embeddings to the rows that a store keeps: which tokens, how many, what bytes.

    tokens → skip punctuation → pool alike tokens → quantise to 8 or 4 bits → pad to a fixed height

Fewer and shorter rows cost accuracy and save memory; `docs/export.md` has the table. Narrower
embeddings are not here: they come out of a bundle's encoder narrow.

Sources: the punctuation list is ColBERT's (Khattab & Zaharia, SIGIR 2020, §3.1); pooling follows
Clavié, Chaffin & Adams, "Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance
Impact via Token Pooling" (2024): hierarchical clustering by Ward's criterion, means, unit length.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, UInt8
from pydantic import BaseModel, ConfigDict, Field

from relevance.errors import BadInput
from relevance.late_interaction import quantise_item

PUNCTUATION = frozenset(string.punctuation)


class RowCodec(BaseModel):
    """How items become rows.

    `pooling`: about so many tokens share a row. `skip_punctuation`: tokens of ASCII punctuation
    alone take no row, unless an item has no other. `bits`: of each value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooling: int = Field(default=1, ge=1, le=8)
    skip_punctuation: bool = False
    bits: Literal[8, 4] = 8

    @property
    def keeps_tokens(self) -> bool:
        """Whether row r stands for token r."""
        return self.pooling == 1 and not self.skip_punctuation

    def rows(self, tokens: int) -> int:
        """Rows of an item with this many tokens."""
        return -(-tokens // self.pooling)

    def row_bytes(self, dim: int) -> int:
        """Bytes of a row; raises `BadInput` where a dimension would be half a byte over."""
        if dim * self.bits % 8:
            raise BadInput(f"dim: expected an even number for {self.bits}-bit rows, got {dim}")
        return dim * self.bits // 8


@dataclass(frozen=True, slots=True, eq=False)
class ItemRows:
    """What is kept of one item; row r stands for the tokens `members[r]`, by rising first token.

    `values` repeats its first row to the end. The number of real rows is `len(members)`.
    """

    values: UInt8[np.ndarray, "rows row_bytes"]
    members: tuple[tuple[int, ...], ...]


def item_rows(
    tokens: Float[np.ndarray, "item_tokens dim"],
    pieces: Sequence[str],
    *,
    codec: RowCodec,
    scale: float,
    rows: int,
) -> ItemRows:
    """The rows of an item with these token embeddings; `pieces` is the text of each token.

    `rows` is the fixed height, `codec.rows` of the longest item. Raises ValueError for an item
    without a token.
    """
    members = row_members(tokens, pieces, codec=codec)
    means = tokens if codec.keeps_tokens else _means(tokens, members)
    return ItemRows(quantise_item(means, scale=scale, rows=rows, bits=codec.bits), members)


def pooled_tokens(
    tokens: Float[np.ndarray, "item_tokens dim"], pieces: Sequence[str], *, codec: RowCodec
) -> Float32[np.ndarray, "rows dim"]:
    """The float rows that `item_rows` quantises."""
    return _means(tokens, row_members(tokens, pieces, codec=codec))


def row_members(
    tokens: Float[np.ndarray, "item_tokens dim"], pieces: Sequence[str], *, codec: RowCodec
) -> tuple[tuple[int, ...], ...]:
    """The tokens that each row stands for."""
    if codec.keeps_tokens:
        return tuple((at,) for at in range(len(tokens)))
    kept = kept_tokens(pieces, codec)
    groups = pool(tokens[kept], factor=codec.pooling)
    return tuple(tuple(kept[at] for at in group) for group in groups)


def kept_tokens(pieces: Sequence[str], codec: RowCodec) -> list[int]:
    """Positions of the tokens that take part in rows."""
    everything = list(range(len(pieces)))
    if not codec.skip_punctuation:
        return everything
    return [at for at in everything if not PUNCTUATION.issuperset(pieces[at])] or everything


def pool(
    tokens: Float[np.ndarray, "item_tokens dim"], *, factor: int
) -> tuple[tuple[int, ...], ...]:
    """Group ⌈tokens / factor⌉ times, by rising first token: Ward's agglomerative clustering.

    The two groups whose union adds least to the squared distances from group means are joined
    until so many are left; of equal joins the first by position. Cubic in tokens, of which there
    are tens.
    """
    groups: list[tuple[int, ...]] = [(at,) for at in range(len(tokens))]
    if factor == 1:
        return tuple(groups)
    wanted = -(-len(tokens) // factor)
    means = tokens.astype(np.float64)
    costs = np.full((len(tokens), len(tokens)), np.inf)
    for at in range(len(groups)):
        costs[at, at + 1 :] = _join_costs(means, groups, at)[at + 1 :]
    while len(groups) > wanted:
        first, second = divmod(int(costs.argmin()), len(groups))
        sizes = len(groups[first]), len(groups[second])
        means[first] = (sizes[0] * means[first] + sizes[1] * means[second]) / sum(sizes)
        groups[first] = tuple(sorted(groups[first] + groups[second]))
        del groups[second]
        means = np.delete(means, second, axis=0)
        costs = np.delete(np.delete(costs, second, axis=0), second, axis=1)
        joined = _join_costs(means, groups, first)
        costs[first, first + 1 :] = joined[first + 1 :]
        costs[:first, first] = joined[:first]
    return tuple(sorted(groups))


def _join_costs(
    means: Float[np.ndarray, "groups dim"], groups: Sequence[tuple[int, ...]], at: int
) -> Float[np.ndarray, " groups"]:
    """Ward (1963): |A||B| / (|A| + |B|) · ‖mean A − mean B‖² of group `at` with every group."""
    sizes = np.array([len(group) for group in groups], np.float64)
    distances = ((means - means[at]) ** 2).sum(axis=1)
    return sizes * sizes[at] / (sizes + sizes[at]) * distances


def _means(
    tokens: Float[np.ndarray, "item_tokens dim"], members: Sequence[tuple[int, ...]]
) -> Float32[np.ndarray, "groups dim"]:
    """Unit-length means; a lone token keeps its very bits."""
    if not members:
        return np.empty((0, tokens.shape[1]), np.float32)
    rows = [
        tokens[group[0]] if len(group) == 1 else _unit(tokens[list(group)].mean(axis=0))
        for group in members
    ]
    return np.stack(rows).astype(np.float32)


def _unit(vector: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " dim"]:
    length = float(np.sqrt((vector.astype(np.float64) ** 2).sum()))
    return vector / length if length > 0 else vector
