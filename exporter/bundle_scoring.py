"""Score pairs through a bundle's graphs, one text at a time, as the service does.

Calibration, parity and evaluation of a bundle use it. The service has its own runner, made for
speed; a test holds the two to the same bits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer
from tqdm import tqdm

from relevance.bundle import ENCODER, MAXSIM, TOKENIZER, BundleManifest
from relevance.integer_products import ADD_EXACTLY, saturates
from relevance.item_rows import RowCodec, item_rows
from relevance.late_interaction import (
    QuantisedQuery,
    logits,
    quantise_query,
    token_contributions,
)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedText:
    """One text's real tokens: float32 embeddings (tokens, dim) and what each token reads."""

    vectors: np.ndarray
    pieces: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pieces)


Encode = Callable[[str], EncodedText]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Real tokens kept of a query and of an item."""

    query: int
    item: int


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How an item's tokens become rows of the arena: see `relevance.item_rows`."""

    codec: RowCodec
    scale: float
    rows: int

    @classmethod
    def of(cls, manifest: BundleManifest) -> "RowFormat":
        """The format of a bundle's arena."""
        return cls(manifest.codec, manifest.item_scale, manifest.rows)


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """Distinct queries and items of some pairs, encoded, and who meets whom."""

    queries: Mapping[str, EncodedText]
    items: Mapping[str, EncodedText]
    pairs: Sequence[tuple[str, str]]


def open_session(path: Path) -> ort.InferenceSession:
    """One thread, and no kernel that saturates: the same bits whatever else the machine does."""
    options = _one_thread()
    if processor_saturates():
        options.add_session_config_entry(ADD_EXACTLY, "1")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@cache
def processor_saturates() -> bool:
    """Whether this processor's 8-bit kernels must be told to add exactly; asked once a process."""
    return saturates(
        lambda probe: ort.InferenceSession(probe, _one_thread(), providers=["CPUExecutionProvider"])
    )


def _one_thread() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def encoder_of(graph: Path, length: int, *, tokenizer: Path) -> Encode:
    """A function from a normalised text to its encoded real tokens."""
    session = open_session(graph)
    cutting = text_tokenizer(tokenizer, length)

    def encode(text: str) -> EncodedText:
        encoding = cutting.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        (embeddings,) = session.run(["token_embeddings"], feed)
        real = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
        pieces = tuple(text[slice(*encoding.offsets[at])] for at in real)
        return EncodedText(embeddings[0][real], pieces)

    return encode


def text_tokenizer(path: Path, length: int) -> Tokenizer:
    """A tokenizer that cuts to `length` real tokens; "[SEP]" typed by a shopper is text."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(length + tokenizer.num_special_tokens_to_add(is_pair=False))
    return tokenizer


def encode_pairs(
    folder: Path, pairs: Iterable[tuple[str, str]], *, lengths: Lengths
) -> EncodedPairs:
    """Encode the distinct texts of (query, item text) pairs, one at a time."""
    kept = tuple(pairs)
    queries, items = dict.fromkeys(q for q, _ in kept), dict.fromkeys(i for _, i in kept)
    encode_query, encode_item = (
        encoder_of(folder / ENCODER, length, tokenizer=folder / TOKENIZER)
        for length in (lengths.query, lengths.item)
    )
    return EncodedPairs(
        {text: encode_query(text) for text in tqdm(queries, desc="encoding queries")},
        {text: encode_item(text) for text in tqdm(items, desc="encoding items")},
        kept,
    )


def integer_similarities(folder: Path, encoded: EncodedPairs, shape: RowFormat) -> np.ndarray:
    """Mean best cosines float64 through maxsim.onnx; NaN where a side has no token."""
    return _integer_logits(folder, encoded, shape, weight=1.0, bias=0.0)


def bundle_logits(folder: Path, encoded: EncodedPairs, manifest: BundleManifest) -> np.ndarray:
    """The very logits `/score` turns into scores; NaN where a side has no token."""
    shape = RowFormat.of(manifest)
    weight, bias = manifest.logit_weight, manifest.logit_bias
    return _integer_logits(folder, encoded, shape, weight=weight, bias=bias)


def _integer_logits(
    folder: Path, encoded: EncodedPairs, shape: RowFormat, *, weight: float, bias: float
) -> np.ndarray:
    session = open_session(folder / MAXSIM)
    usable = {text: at for at, text in enumerate(t for t, e in encoded.items.items() if len(e))}
    found = np.full(len(encoded.pairs), np.nan)
    if not usable:
        return found
    arena = np.stack([_rows(encoded.items[text], shape) for text in usable])
    for query, members in _by_query(encoded, usable).items():
        quantised: QuantisedQuery = quantise_query(encoded.queries[query].vectors)
        positions = np.array([usable[encoded.pairs[at][1]] for at in members], dtype=np.int64)
        feed = {
            "query": quantised.steps,
            "arena": arena,
            "positions": positions,
        }
        (maxima,) = session.run(["maxima"], feed)
        shares = token_contributions(
            maxima, quantised.scales, item_scale=shape.scale, weight=weight
        )
        found[members] = logits(shares, bias=bias)
    return found


def _rows(item: EncodedText, shape: RowFormat) -> np.ndarray:
    return item_rows(
        item.vectors, item.pieces, codec=shape.codec, scale=shape.scale, rows=shape.rows
    ).values


def _by_query(encoded: EncodedPairs, usable: Mapping[str, int]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for at, (query, item) in enumerate(encoded.pairs):
        if item in usable and len(encoded.queries[query]):
            groups.setdefault(query, []).append(at)
    return groups
