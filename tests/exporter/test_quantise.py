"""8-bit products against NumPy, channels that stay in float, and what a text's bytes depend on."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from exporter.eight_bits import KEPT_CHANNELS, STEPS, choose_channels, quantised_weight
from exporter.quantise import LARGE_TABLE, quantised_encoder
from relevance.bundle import Precision
from relevance.errors import BadInput

INT8 = (Precision.INT8_DYNAMIC, Precision.INT8_STATIC)
ROWS, HIDDEN, OUT = LARGE_TABLE + 24, 64, 16


def make_encoder(seed: int = 0, *, outlier: float = 1.0) -> onnx.ModelProto:
    """Look-up → two products of one activation → one of their sum; channel 5 is an outlier."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(ROWS, HIDDEN)).astype(np.float32)
    table[:, 5] *= outlier
    constants = {
        "table": table,
        **{
            name: (random.normal(size=shape) / 8).astype(np.float32)
            for name, shape in (("w1", (HIDDEN, HIDDEN)), ("w2", (HIDDEN, HIDDEN)),
                                ("w3", (HIDDEN, OUT)))
        },
    }  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"], "look_up"),
        helper.make_node("MatMul", ["x", "w1"], ["a"], "first"),
        helper.make_node("MatMul", ["x", "w2"], ["b"], "second"),
        helper.make_node("Mul", ["a", "b"], ["ab"], "meet"),
        helper.make_node("MatMul", ["ab", "w3"], ["token_embeddings"], "third"),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("token_embeddings", TensorProto.FLOAT, ["b", "t", OUT])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=9)


def make_feeds(seed: int = 0, count: int = 6):
    random = np.random.default_rng(seed)
    ids = [random.integers(0, ROWS, (1, random.integers(2, 9))) for _ in range(count)]
    return [{"input_ids": each, "attention_mask": np.ones_like(each)} for each in ids]


def run(model: onnx.ModelProto, feed) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    return session.run(None, feed)[0][0]


def relative_error(model: onnx.ModelProto, exact: onnx.ModelProto) -> float:
    gaps = [
        np.linalg.norm(run(model, feed) - run(exact, feed)) / np.linalg.norm(run(exact, feed))
        for feed in make_feeds(1)
    ]
    return float(np.mean(gaps))


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_a_weight_is_within_half_a_step_of_its_scale(seed, inputs, outputs):
    weight = np.random.default_rng(seed).normal(size=(inputs, outputs)).astype(np.float32)

    steps, scales = quantised_weight(weight)

    assert steps.dtype == np.int8
    assert np.abs(steps).max() == STEPS
    assert (np.abs(steps * scales - weight) <= scales * 0.5001).all()


def test_a_column_of_zeros_keeps_a_usable_scale():
    steps, scales = quantised_weight(np.zeros((3, 2), np.float32))

    assert (steps == 0).all()
    assert (scales == 1).all()


@pytest.mark.parametrize("precision", INT8)
@pytest.mark.parametrize("outlier", [1.0, 40.0])
def test_products_stay_near_float_with_and_without_an_outlier_channel(precision, outlier):
    exact = make_encoder(outlier=outlier)

    found = quantised_encoder(exact, make_feeds(), precision)

    onnx.checker.check_model(found)
    assert 0 < relative_error(found, exact) < 0.06
    kinds = [node.op_type for node in found.graph.node]
    assert kinds.count("MatMulInteger") == 2  # the two products of one activation are one


def test_channels_that_stand_out_stay_in_float_and_no_more():
    random = np.random.default_rng(0)
    weight = random.normal(size=(80, 8)).astype(np.float32)
    even = [random.normal(size=(6, 80)).astype(np.float32) for _ in range(4)]
    uneven = [text * np.where(np.arange(80) == 33, 300, 1).astype(np.float32) for text in even]

    assert len(choose_channels(even, [weight])) == 0
    kept = choose_channels(uneven, [weight * np.where(np.arange(80) == 33, 0.003, 1)[:, None]])
    assert len(kept) == KEPT_CHANNELS[1]
    assert 33 in kept
    assert list(kept) == sorted(kept)


@pytest.mark.parametrize("precision", INT8)
def test_large_tables_take_eight_bits_and_the_float_weights_are_gone(precision):
    exact = make_encoder()

    found = quantised_encoder(exact, make_feeds(), precision)

    kinds = {t.name: t.data_type for t in found.graph.initializer}
    assert kinds["table_steps"] == TensorProto.INT8
    assert not {"table", "w1", "w2", "w3"} & kinds.keys()
    assert found.ByteSize() < exact.ByteSize() / 3


def test_the_model_that_was_given_stays_as_it_was():
    exact = make_encoder()
    before = exact.SerializeToString()

    quantised_encoder(exact, make_feeds(), Precision.INT8_DYNAMIC)

    assert exact.SerializeToString() == before


def test_the_same_texts_give_the_same_graph_byte_for_byte():
    graphs = [
        quantised_encoder(make_encoder(), make_feeds(), Precision.INT8_STATIC).SerializeToString()
        for _ in range(2)
    ]

    assert graphs[0] == graphs[1]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_with_fixed_ranges_a_token_has_the_same_bits_whatever_its_neighbours(seed):
    model = quantised_encoder(make_encoder(outlier=40.0), make_feeds(), Precision.INT8_STATIC)
    (feed,) = make_feeds(seed, 1)
    alone = {name: value[:, :1] for name, value in feed.items()}

    assert run(model, feed)[0] == pytest.approx(run(model, alone)[0], abs=1e-6)


@pytest.mark.parametrize("precision", INT8)
def test_without_texts_there_are_no_ranges(precision):
    with pytest.raises(BadInput, match="expected texts to find ranges on, got none"):
        quantised_encoder(make_encoder(), [], precision)
