"""Texts and shapes a student seldom sees and must still agree on: the gate's grid.

    one token up to the most, on either side · no token at all · the longest text
    Chinese, Arabic, emoji, combining marks, control characters, special tokens typed by a shopper
    one-token items, items that resemble nothing (every similarity below zero)

What agreement means stands in `parity.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from exporter.bundle_scoring import Lengths, open_session
from relevance.bundle import MAXSIM
from relevance.item_rows import RowCodec, item_rows
from relevance.late_interaction import (
    QuantisedQuery,
    integer_maxima,
    mean_maxsim,
    quantise_query,
)
from relevance.text import normalise

ODD_TEXTS = (
    "红色 不锈钢保温杯 500毫升",
    "水筒 ステンレス 24オンス 赤",
    "زجاجة ماء فولاذية",
    "🔥🧴👩‍👩‍👧 lamp 🪔",
    "re\u0301d la\u0300mp n\u0303",
    "red\u0000 \u0007steel\u200b\u200e lamp\u2028black",
    "[SEP] [CLS] red [PAD] lamp [MASK]",
    "24oz/710ml (2-pack) — 50% off!!! #1",
    "!",
    "ﬁﬂ Ｗａｔｅｒ ½ ㎏ ™",
    "lamp " * 2000,
    "x" * 5000,
    "",
)
WORDS = 16  # different words in texts of a given length
SCANNED_PIECES = 8000  # of the vocabulary, for words that are one token


@dataclass(frozen=True, slots=True)
class IntegerGrid:
    """What comparing every pair of token counts gave: numbers and, where wrong, where."""

    maxima_differing: int
    similarity_max_difference: float
    worst: str


def grid_texts(tokenizer: Tokenizer, lengths: Lengths) -> tuple[str, ...]:
    """Normalised texts of 1, 2, … tokens up to one more than the longest kept, and odd ones.

    `tokenizer` neither pads nor cuts.
    """
    words = _one_token_words(tokenizer)
    counts = range(1, max(lengths.query, lengths.item) + 2) if words else ()
    even = (" ".join(words[at % len(words)] for at in range(count)) for count in counts)
    return tuple(dict.fromkeys([*even, *(normalise(text) for text in ODD_TEXTS)]))


def integer_grid(
    folder: Path, *, dim: int, lengths: Lengths, scale: float, codec: RowCodec
) -> IntegerGrid:
    """maxsim.onnx against NumPy for every number of query and item tokens.

    Each item comes twice: at random, and pointing away from the whole query so that no
    similarity is positive (a padding of zeros would then win).
    """
    session = open_session(folder / MAXSIM)
    rows = codec.rows(lengths.item)
    differing, largest, worst = 0, 0.0, ""
    for count in range(1, lengths.query + 1):
        query, items = _vectors(count, dim=dim, longest=lengths.item, seed=count)
        quantised = quantise_query(query)
        pieces = [("x",) * len(item) for item in items]
        arena = np.stack(
            [
                item_rows(item, piece, codec=codec, scale=scale, rows=rows).values
                for item, piece in zip(items, pieces, strict=True)
            ]
        )
        feed = {"query": quantised.steps, "arena": arena, "positions": np.arange(len(arena))}
        (found,) = session.run(["maxima"], feed)
        expected = integer_maxima(quantised.steps, arena, bits=codec.bits)
        differing += int((found != expected).sum())
        for at, gap in enumerate(_gaps(query, items, quantised, found, scale)):
            if codec == RowCodec() and gap > largest:
                largest = gap
                worst = f"{count} query tokens, {len(items[at])} item tokens"
    return IntegerGrid(differing, largest, worst)


def _gaps(
    query: np.ndarray,
    items: Sequence[np.ndarray],
    quantised: QuantisedQuery,
    maxima: np.ndarray,
    scale: float,
) -> Iterator[float]:
    served = (maxima * (quantised.scales.astype(np.float64) * scale)).mean(axis=1)
    for similarity, item in zip(served, items, strict=True):
        yield abs(similarity - mean_maxsim(query, item, np.ones(len(item), dtype=bool)))


def _vectors(
    count: int, *, dim: int, longest: int, seed: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Unit query tokens near one direction; items at random and items against that direction."""
    random = np.random.default_rng(seed)

    def unit(vectors: np.ndarray) -> np.ndarray:
        scaled = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return scaled.astype(np.float32)

    direction = random.normal(size=dim)
    query = unit(direction + 0.3 * random.normal(size=(count, dim)))
    anywhere = [unit(random.normal(size=(tokens, dim))) for tokens in range(1, longest + 1)]
    against = [
        unit(-direction + 0.3 * random.normal(size=(tokens, dim)))
        for tokens in range(1, longest + 1)
    ]
    return query, [*anywhere, *against]


def _one_token_words(tokenizer: Tokenizer) -> list[str]:
    """Words of letters that the tokenizer keeps whole and does not confuse with each other."""
    words: list[str] = []
    size = tokenizer.get_vocab_size()
    start = min(1000, size // 10)  # past special, unused and one-letter pieces
    for at in range(start, min(size, start + SCANNED_PIECES)):
        piece = tokenizer.id_to_token(at) or ""
        if piece.isalpha() and tokenizer.encode(piece, add_special_tokens=False).ids == [at]:
            words.append(piece)
        if len(words) == WORDS:
            break
    return words
