"""A tiny deterministic bundle made without torch: real graphs, real tokenizer, no meaning.

A token's embedding depends on the token, on its place and on the sum of all tokens, so that cut
or padded texts show.
"""

import string
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from exporter.golden import write_golden
from exporter.maxsim_graph import write_maxsim_graph
from relevance.bundle import ENCODER, GOLDEN, MAXSIM, TOKENIZER, BundleManifest, write_manifest
from relevance.item_rows import RowCodec

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("red", "blue", "water", "bottle", "steel", "oak", "desk", "lamp", "shoe", "cotton")
CHARACTERS = string.ascii_lowercase + string.digits + ".,-'/"
LONGEST = 64
PLAIN = RowCodec()


def make_bundle(
    folder: Path,
    *,
    seed: int = 0,
    dim: int = 16,
    max_query_tokens: int = 8,
    max_item_tokens: int = 6,
    logit_bias: float = -4.0,
    codec: RowCodec = PLAIN,
) -> BundleManifest:
    folder.mkdir(parents=True, exist_ok=True)
    item_scale, logit_weight = 0.6 / {8: 127, 4: 15}[codec.bits], 12.0
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    graph = encoder_graph(vocabulary=tokenizer.get_vocab_size(), dim=dim, seed=seed)
    onnx.save(graph, folder / ENCODER)
    write_maxsim_graph(folder / MAXSIM, dim=dim, bits=codec.bits)
    write_golden(folder / GOLDEN, dim=dim, rows=codec.rows(max_item_tokens), bits=codec.bits)
    return write_manifest(
        folder,
        dim=dim,
        max_query_tokens=max_query_tokens,
        max_item_tokens=max_item_tokens,
        item_text="title_brand_color",
        codec=codec,
        item_scale=item_scale,
        logit_weight=logit_weight,
        logit_bias=logit_bias,
        threshold=0.5,
        calibration="human",
        parity={},
        source={},
    )


def make_tokenizer() -> Tokenizer:
    pieces = [*SPECIALS, *WORDS, *CHARACTERS, *(f"##{c}" for c in CHARACTERS)]
    vocabulary = {piece: at for at, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def encoder_graph(*, vocabulary: int, dim: int, seed: int) -> onnx.ModelProto:
    random = np.random.default_rng(seed)
    constants = {
        "tokens": random.normal(size=(vocabulary, dim)).astype(np.float32),
        "places": (0.3 * random.normal(size=(1, LONGEST, dim))).astype(np.float32),
        "share": np.array(0.05, np.float32),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "last": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["looked_up"]),
        helper.make_node("Cast", ["attention_mask"], ["is_token"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["is_token", "last"], ["is_token_column"]),
        helper.make_node("Mul", ["looked_up", "is_token_column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "one"], ["company"], keepdims=1),
        helper.make_node("Mul", ["company", "share"], ["whispered"]),
        helper.make_node("Add", ["masked", "whispered"], ["in_company"]),
        helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2),
        helper.make_node("Slice", ["places", "zero", "length", "one"], ["here"]),
        helper.make_node("Add", ["in_company", "here"], ["placed"]),
        helper.make_node("LpNormalization", ["placed"], ["token_embeddings"], axis=-1, p=2),
    ]
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens_of_text"])
        for name in ("input_ids", "attention_mask")
    ]
    embeddings = helper.make_tensor_value_info(
        "token_embeddings", TensorProto.FLOAT, ["batch", "tokens_of_text", dim]
    )
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny_encoder", ids, [embeddings], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model
