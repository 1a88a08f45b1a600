"""What smaller items cost in judgement: bytes an item, time for 1,000, and how well pairs order.

All codecs are measured on one encoding of the same human-labelled pairs: narrower embeddings are
the full ones turned to their principal axes, which is what `--codec dim64` bakes into the encoder
of a student without trained heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnxruntime as ort

from exporter.attempt import CalibrationPairs
from exporter.benchmark.timing import Timing, take_turns
from exporter.bundle_scoring import EncodedPairs, EncodedText, Lengths
from exporter.calibrate import item_scale
from exporter.codecs import codec_named
from exporter.maxsim_graph import maxsim_graph
from exporter.narrow import narrowed
from exporter.parity import kept_rows
from exporter.torch_reference import torch_pairs
from relevance.item_rows import RowCodec, item_rows
from relevance.late_interaction import (
    QUERY_LIMIT,
    integer_maxima,
    logits,
    quantise_query,
    token_contributions,
)
from relevance.metrics import neg_pr_auc, roc_auc, within_query_auc
from trainer.students.checkpoint import Checkpoint

CODECS = (
    "",
    "skip-punctuation",
    "dim96",
    "dim64",
    "dim32",
    "pool2",
    "pool3",
    "dim64,pool2",
    "dim32,pool2",
    "4bit",
    "dim64,4bit",
    "pool2,4bit",
    "dim64,pool2,4bit",
)
CANDIDATES, QUERY_TOKENS, ARENA_ITEMS = 1000, 16, 20_000


@dataclass(frozen=True, slots=True)
class ArenaShape:
    """What decides a codec's time: rows an item, dimensions, bits a value."""

    rows: int
    dim: int
    bits: int

    @property
    def item_bytes(self) -> int:
        """Bytes an item takes."""
        return self.rows * self.dim * self.bits // 8


@dataclass(frozen=True, slots=True)
class CodecRow:
    """One codec: an item's bytes, milliseconds for 1,000 items, measures of the pairs."""

    codec: str
    item_bytes: int
    timing: Timing
    roc_auc: float
    neg_pr_auc: float
    within_query_auc: float


def bench_codecs(
    checkpoint: Checkpoint,
    pairs: CalibrationPairs,
    *,
    codecs: Sequence[str] = CODECS,
    turns: int = 40,
) -> list[CodecRow]:
    """Measure each codec on labelled pairs; those without tokens on a side are left out."""
    lengths = Lengths(checkpoint.card.query_tokens, checkpoint.card.item_tokens)
    texts = pairs.texts(checkpoint.card.item_text)
    full = torch_pairs(checkpoint, texts, lengths=lengths)
    usable = [at for at, (q, i) in enumerate(texts) if len(full.queries[q]) and len(full.items[i])]
    good = np.array([bool(pairs.pairs[at].good) for at in usable])
    queries = [texts[at][0] for at in usable]
    full = replace(full, pairs=[texts[at] for at in usable])
    by_dim: dict[int, EncodedPairs] = {checkpoint.card.dim: full}
    scores, shapes = {}, {}
    for words in codecs:
        codec = codec_named(words)
        dim = codec.dim or checkpoint.card.dim
        if dim not in by_dim:
            by_dim[dim] = _narrow(checkpoint, dim, full, lengths)
        shapes[words] = ArenaShape(codec.rows.rows(lengths.item), dim, codec.rows.bits)
        scores[words] = _scores(by_dim[dim], codec.rows, rows=shapes[words].rows)
    timings = _timings(shapes, turns)
    return [
        CodecRow(
            words or "uint8, no other codec",
            shapes[words].item_bytes,
            timings[words],
            roc_auc(good, scores[words]),
            neg_pr_auc(good, scores[words]),
            within_query_auc(good, scores[words], queries),
        )
        for words in codecs
    ]


def _narrow(checkpoint: Checkpoint, dim: int, full: EncodedPairs, lengths: Lengths) -> EncodedPairs:
    """The same pairs by the narrowed student."""
    small = narrowed(checkpoint, dim, texts=tuple(full.items))
    return torch_pairs(small, full.pairs, lengths=lengths)


def _scores(encoded: EncodedPairs, codec: RowCodec, *, rows: int) -> np.ndarray:
    """Mean best cosines by the integer definition, which the graph equals."""
    scale = item_scale(kept_rows(encoded, codec).values(), bits=codec.bits)
    kept = {text: _rows(item, codec, scale, rows) for text, item in encoded.items.items() if item}
    found = np.empty(len(encoded.pairs))
    for at, (query, item) in enumerate(encoded.pairs):
        quantised = quantise_query(encoded.queries[query].vectors)
        maxima = integer_maxima(quantised.steps, kept[item][None], bits=codec.bits)
        shares = token_contributions(maxima, quantised.scales, item_scale=scale, weight=1.0)
        found[at] = logits(shares, bias=0.0)[0]
    return found


def _rows(item: EncodedText, codec: RowCodec, scale: float, rows: int) -> np.ndarray:
    return item_rows(item.vectors, item.pieces, codec=codec, scale=scale, rows=rows).values


def _timings(shapes: dict[str, ArenaShape], turns: int) -> dict[str, Timing]:
    """The graph on random arenas of these shapes; equal shapes are timed once."""
    random = np.random.default_rng(0)
    distinct = dict.fromkeys(shapes.values())
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    contestants = {}
    for shape in distinct:
        graph = maxsim_graph(dim=shape.dim, bits=shape.bits).SerializeToString()
        arena = (ARENA_ITEMS, shape.rows, shape.item_bytes // shape.rows)
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        feed = {
            "query": random.integers(
                -QUERY_LIMIT, QUERY_LIMIT + 1, (QUERY_TOKENS, shape.dim), dtype=np.int8
            ),
            "arena": random.integers(0, 256, arena, dtype=np.uint8),
            "positions": random.permutation(ARENA_ITEMS)[:CANDIDATES],
        }
        contestants[str(shape)] = partial(session.run, None, feed)
    timings = take_turns(contestants, turns=turns)
    return {words: timings[str(shape)] for words, shape in shapes.items()}
