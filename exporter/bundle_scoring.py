"""Score pairs through a bundle's graphs, one text at a time, as the service does.

Calibration, parity and evaluation of a bundle use it. The service has its own runner, made for
speed; a test holds the two to the same bits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer
from tqdm import tqdm

from relevance.bundle import ENCODER, MAXSIM, TOKENIZER
from relevance.late_interaction import (
    QuantisedQuery,
    logits,
    quantise_item,
    quantise_query,
    token_contributions,
)

Encode = Callable[[str], np.ndarray]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Real tokens kept of a query and of an item."""

    query: int
    item: int


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """Distinct queries and items of some pairs as float token embeddings, and who meets whom."""

    queries: Mapping[str, np.ndarray]
    items: Mapping[str, np.ndarray]
    pairs: Sequence[tuple[str, str]]


def open_session(path: Path) -> ort.InferenceSession:
    """One thread: the same bits whatever else the machine does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def encoder_of(folder: Path, length: int) -> Encode:
    """A function from a normalised text to its real tokens' float32 embeddings (tokens, dim)."""
    session = open_session(folder / ENCODER)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[SEP]" typed by a shopper is text
    tokenizer.enable_truncation(length + tokenizer.num_special_tokens_to_add(is_pair=False))

    def encode(text: str) -> np.ndarray:
        encoding = tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        (embeddings,) = session.run(["token_embeddings"], feed)
        return embeddings[0][~np.array(encoding.special_tokens_mask, dtype=bool)]

    return encode


def encode_pairs(
    folder: Path, pairs: Iterable[tuple[str, str]], *, lengths: Lengths
) -> EncodedPairs:
    """Encode the distinct texts of (query, item text) pairs, one at a time."""
    kept = tuple(pairs)
    queries, items = dict.fromkeys(q for q, _ in kept), dict.fromkeys(i for _, i in kept)
    encode_query, encode_item = (encoder_of(folder, n) for n in (lengths.query, lengths.item))
    return EncodedPairs(
        {text: encode_query(text) for text in tqdm(queries, desc="encoding queries")},
        {text: encode_item(text) for text in tqdm(items, desc="encoding items")},
        kept,
    )


def integer_similarities(
    folder: Path, encoded: EncodedPairs, *, scale: float, rows: int
) -> np.ndarray:
    """Mean best cosines float64 through maxsim.onnx; NaN where a side has no token."""
    session = open_session(folder / MAXSIM)
    usable = {text: at for at, text in enumerate(t for t, e in encoded.items.items() if len(e))}
    arena = np.stack(
        [quantise_item(encoded.items[text], scale=scale, rows=rows) for text in usable]
    )
    similarities = np.full(len(encoded.pairs), np.nan)
    for query, members in _by_query(encoded, usable).items():
        quantised: QuantisedQuery = quantise_query(encoded.queries[query])
        positions = np.array([usable[encoded.pairs[at][1]] for at in members], dtype=np.int64)
        feed = {
            "query": quantised.steps,
            "arena": arena,
            "positions": positions,
        }
        (maxima,) = session.run(["maxima"], feed)
        shares = token_contributions(maxima, quantised.scales, item_scale=scale, weight=1.0)
        similarities[members] = logits(shares, bias=0.0)
    return similarities


def _by_query(encoded: EncodedPairs, usable: Mapping[str, int]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for at, (query, item) in enumerate(encoded.pairs):
        if item in usable and len(encoded.queries[query]):
            groups.setdefault(query, []).append(at)
    return groups
