"""MaxSim, defined once: the float definition, and the integer variant that is served.

torch, ONNX and the service are held to these functions by tests. Nothing here is fast on
purpose; nothing here knows models, padding of batches, or files.

Source: Khattab & Zaharia, "ColBERT" (SIGIR 2020); the mean over query tokens in place of the
sum keeps the score's scale free of the query's length.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float, Float32, Int8, Int32, UInt8

ITEM_ZERO_POINT = 128
ITEM_LIMIT = 127  # item steps lie in [-127, 127] around the zero point
FOUR_BIT_LIMIT = 15  # of 4-bit items: the odd steps from −15 to 15
QUERY_LIMIT = 64  # ±64, not ±127: 255·64·2 < 32,768, so kernels without VNNI cannot saturate


def mean_maxsim(
    query_tokens: Float[np.ndarray, "query_tokens dim"],
    item_tokens: Float[np.ndarray, "item_tokens dim"],
    is_token: Bool[np.ndarray, " item_tokens"],
) -> float:
    """Mean over query tokens of the best cosine among the item's real tokens, in [-1, 1].

    Both sides hold unit-length token embeddings. Query tokens are all real. Raises ValueError
    where either side has no token: such a pair has no score.
    """
    if not len(query_tokens) or not is_token.any():
        raise ValueError("MaxSim needs at least one token on each side")
    similarities = query_tokens.astype(np.float64) @ item_tokens[is_token].astype(np.float64).T
    return float(similarities.max(axis=1).mean())


@dataclass(frozen=True, slots=True)
class QuantisedQuery:
    """int8 token embeddings in [-64, 64] and one scale per token: value = step · scale."""

    steps: Int8[np.ndarray, "query_tokens dim"]
    scales: Float32[np.ndarray, " query_tokens"]


def quantise_query(tokens: Float[np.ndarray, "query_tokens dim"]) -> QuantisedQuery:
    """Quantise each token symmetrically by its largest magnitude.

    Each value is within half a scale of its step; a zero vector keeps scale 1.
    """
    values = tokens.astype(np.float32)
    largest = np.abs(values).max(axis=1, initial=0.0)
    scales = largest / np.float32(QUERY_LIMIT)
    scales = np.where(scales > 0, scales, np.float32(1))  # also where the division underflows
    steps = np.clip(np.rint(values / scales[:, None]), -QUERY_LIMIT, QUERY_LIMIT)
    return QuantisedQuery(steps.astype(np.int8), scales)


def quantise_item(
    tokens: Float[np.ndarray, "item_tokens dim"], *, scale: float, rows: int, bits: int = 8
) -> UInt8[np.ndarray, "rows row_bytes"]:
    """Quantise an item's real tokens into `rows` rows; unused rows repeat the first token.

    Repeating a real token leaves every maximum unchanged, so scoring needs no mask. Tokens past
    `rows` must have been cut before. With 8 bits a byte holds one value; with 4 bits byte b holds
    dimension b in its lower half and dimension b + dim / 2 in its upper, so `dim` must be even.
    Raises ValueError for an item without a token.
    """
    if not 0 < len(tokens) <= rows:
        raise ValueError(f"item tokens: expected 1 to {rows}, got {len(tokens)}")
    steps = tokens.astype(np.float32) / np.float32(scale)
    real = _bytes(steps) if bits == 8 else _half_bytes(steps)
    return np.concatenate([real, np.repeat(real[:1], rows - len(real), axis=0)])


def item_steps(
    rows: UInt8[np.ndarray, "... row_bytes"], *, bits: int = 8
) -> Int32[np.ndarray, "... dim"]:
    """What the bytes of rows stand for: value = step · scale. Undoes `quantise_item`."""
    if bits == 8:
        return rows.astype(np.int32) - ITEM_ZERO_POINT
    halves = np.concatenate([rows & 15, rows >> 4], axis=-1)
    return 2 * halves.astype(np.int32) - FOUR_BIT_LIMIT


def integer_maxima(
    query: Int8[np.ndarray, "query_tokens dim"],
    items: UInt8[np.ndarray, "items rows row_bytes"],
    *,
    bits: int = 8,
) -> Int32[np.ndarray, "items query_tokens"]:
    """For each item and query token the largest integer dot product over the item's rows."""
    steps = item_steps(items, bits=bits)
    return (steps @ query.astype(np.int32).T).max(axis=1).astype(np.int32)


def token_contributions(
    maxima: Int32[np.ndarray, "items query_tokens"],
    query_scales: Float32[np.ndarray, " query_tokens"],
    *,
    item_scale: float,
    weight: float,
) -> Float[np.ndarray, "items query_tokens"]:
    """Each query token's share of the logit, in float64: weight · cosine / number of tokens.

    The scales are applied after the maximum. `logits` adds the shares up.
    """
    cosines = maxima * (query_scales.astype(np.float64) * float(item_scale))
    return weight * cosines / len(query_scales)


def logits(
    contributions: Float[np.ndarray, "items query_tokens"], *, bias: float
) -> Float[np.ndarray, " items"]:
    """The contributions' sum plus `bias`, added token after token.

    Not `.sum(axis=1)`: this order of additions is the same whatever the batch's shape, so a pair
    gets the same bits alone and in company. Needs at least one query token.
    """
    return reduce(np.add, tuple(contributions.T)) + bias


def _bytes(steps: Float32[np.ndarray, "tokens dim"]) -> UInt8[np.ndarray, "tokens dim"]:
    whole = np.clip(np.rint(steps), -ITEM_LIMIT, ITEM_LIMIT)
    return (whole + ITEM_ZERO_POINT).astype(np.uint8)


def _half_bytes(steps: Float32[np.ndarray, "tokens dim"]) -> UInt8[np.ndarray, "tokens half"]:
    """Each step to the nearest odd one, numbered from 0 to 15, two in a byte."""
    numbers = np.clip(np.rint((steps + FOUR_BIT_LIMIT) / 2), 0, FOUR_BIT_LIMIT).astype(np.uint8)
    low, high = np.split(numbers, 2, axis=1)
    return low | (high << 4)


def sigmoid(logits: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Probability of a logit, without overflow at either end."""
    negative = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + negative), negative / (1 + negative))
