"""The float32 encoder graph in the precision that is asked for.

fp32 → as exported        fp16 → float16 weights and sums        int8_* → `quantise.py`
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from tokenizers import Tokenizer

from exporter.bundle_scoring import Lengths, text_tokenizer
from exporter.quantise import Feed, quantised_encoder
from relevance.bundle import ENCODER, TOKENIZER, Precision

FLOAT32_IN_FP16 = ("Clip",)  # its bound against division by zero is nothing in float16
SAMPLED = 24  # texts of each side that 8-bit ranges are found on

Texts = tuple[tuple[str, ...], tuple[str, ...]]  # queries, item texts


def write_precision(
    folder: Path, precision: Precision, *, full: Path, texts: Texts, lengths: Lengths
) -> None:
    """Write `folder`'s encoder from the float32 graph at `full`."""
    model = onnx.load(full)
    feeds = _feeds(folder / TOKENIZER, texts, lengths)
    onnx.save(_CONVERSIONS[precision](model, feeds), folder / ENCODER)


def _feeds(tokenizer: Path, texts: Texts, lengths: Lengths) -> list[Feed]:
    queries, items = texts
    return [
        feed
        for chosen, length in ((queries, lengths.query), (items, lengths.item))
        for feed in _encoded(text_tokenizer(tokenizer, length), _spread(chosen))
    ]


def _spread(texts: tuple[str, ...]) -> Iterable[str]:
    """`SAMPLED` texts evenly from all of them: neighbours in a file resemble each other."""
    return texts[:: max(1, len(texts) // SAMPLED)][:SAMPLED]


def _encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterable[Feed]:
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        yield {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def _as_float16(model: onnx.ModelProto, feeds: list[Feed]) -> onnx.ModelProto:
    del feeds
    converted: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=list(FLOAT32_IN_FP16), disable_shape_infer=True
    )
    return converted


_CONVERSIONS: Mapping[Precision, Callable[[onnx.ModelProto, list[Feed]], onnx.ModelProto]] = {
    Precision.FP32: lambda model, feeds: model,
    Precision.FP16: _as_float16,
    Precision.INT8_DYNAMIC: lambda model, feeds: quantised_encoder(
        model, feeds, Precision.INT8_DYNAMIC
    ),
    Precision.INT8_STATIC: lambda model, feeds: quantised_encoder(
        model, feeds, Precision.INT8_STATIC
    ),
}
