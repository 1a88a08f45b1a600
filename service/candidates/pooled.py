"""Token embeddings as fewer vectors: the mean of every `span` neighbouring tokens, at length one.

A span of all rows is one vector an item, a span of 1 its tokens themselves. The shorter the span,
the nearer the best cosine among an item's vectors is to MaxSim, and the more vectors there are to
search (measured in docs/search.md).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from relevance.late_interaction import QuantisedQuery, item_steps


@dataclass(frozen=True, slots=True)
class PooledItems:
    """Unit vectors of some items, one item's next to each other; item k has `counts[k]`."""

    vectors: Float32[np.ndarray, "vectors dim"]
    counts: Int64[np.ndarray, " items"]


def pool(
    rows: UInt8[np.ndarray, "items rows row_bytes"],
    token_counts: UInt8[np.ndarray, " items"],
    *,
    span: int,
    bits: int = 8,
) -> PooledItems:
    """Pool items' real tokens; an item without one has no vector. The arena's scale cancels out."""
    steps = item_steps(rows, bits=bits).astype(np.float32)
    items, length, dim = steps.shape
    tokens = token_counts.astype(np.int64)
    counts = -(-tokens // span)
    spans = -(-length // span)
    steps[np.arange(length) >= tokens[:, None]] = 0
    if length < spans * span:
        steps = np.pad(steps, ((0, 0), (0, spans * span - length), (0, 0)))
    sums = steps.reshape(items, spans, span, dim).sum(axis=2)
    return PooledItems(unit(sums[np.arange(spans) < counts[:, None]]), counts)


def query_vectors(query: QuantisedQuery) -> Float32[np.ndarray, "query_tokens dim"]:
    """A query's tokens as floats."""
    return query.steps.astype(np.float32) * query.scales[:, None]


def unit(vectors: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim"]:
    """Each vector at length one; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
