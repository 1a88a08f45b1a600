"""Leaner graphs against the ones they were made of: same numbers, fewer operators."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.leaner import lean, readers_of
from relevance.bundle import ENCODER

HEADS, SIZE = 3, 4
HIDDEN = HEADS * SIZE


def make_block(*, watched: str = "") -> onnx.ModelProto:
    """Attention over heads set aside, its input added, normalised; `watched` is an output too."""
    constants = {
        "shape": np.array([0, 0, HEADS, SIZE]),
        "joined": np.array([0, 0, HIDDEN]),
        "gain": np.linspace(0.5, 2, HIDDEN, dtype=np.float32),
    }
    aside = {"perm": [0, 2, 1, 3]}
    nodes = [
        node
        for name in ("q", "k", "v")
        for node in (
            helper.make_node("Reshape", [name, "shape"], [f"{name}4"], f"split_{name}"),
            helper.make_node("Transpose", [f"{name}4"], [f"{name}t"], f"aside_{name}", **aside),
        )
    ]
    nodes += [
        helper.make_node("Attention", ["qt", "kt", "vt"], ["attended"], "attention"),
        helper.make_node("Transpose", ["attended"], ["back"], "back_node", **aside),
        helper.make_node("Reshape", ["back", "joined"], ["joint"], "joint_node"),
        helper.make_node("Add", ["joint", "q"], ["residual"], "residual_node"),
        helper.make_node("LayerNormalization", ["residual", "gain"], ["out"], "norm", axis=-1),
    ]
    shape = ["batch", "tokens", HIDDEN]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)]
    if watched:
        nodes.append(helper.make_node("Identity", [watched], ["seen"], "watcher"))
        sizes = ["batch", "b", "c", SIZE] if watched != "residual" else shape
        outputs.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, sizes))
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "qkv"],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=9)


def make_feed(batch: int, tokens: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(batch + tokens)
    return {name: random.normal(size=(batch, tokens, HIDDEN)).astype(np.float32) for name in "qkv"}


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString()).run(None, feed)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (1, 7), (3, 5)])
def test_a_block_gives_the_same_numbers_with_three_operators(batch, tokens):
    model, feed = make_block(), make_feed(batch, tokens)

    found = lean(model, heads=HEADS)

    assert kinds(found) == ["Attention", "Sum", "LayerNormalization"]
    assert run(found, feed)[0] == pytest.approx(run(model, feed)[0], abs=1e-6)


@pytest.mark.parametrize("watched", ["q4", "qt", "attended", "back"])
def test_what_something_else_reads_stays_as_it_is(watched):
    model, feed = make_block(watched=watched), make_feed(2, 3)

    found = lean(model, heads=HEADS)

    assert kinds(found).count("Transpose") == 4
    for one, two in zip(run(found, feed), run(model, feed), strict=True):
        assert one == pytest.approx(two, abs=1e-6)


def test_a_residual_that_something_else_reads_stays_an_addition():
    model = make_block(watched="residual")

    assert "Add" in kinds(lean(model, heads=HEADS))


def test_the_model_that_was_given_stays_as_it_was():
    model = make_block()
    before = model.SerializeToString()

    lean(model, heads=HEADS)

    assert model.SerializeToString() == before


def test_readers_are_listed_once_for_each_time_they_read():
    model = make_block()

    assert [node.name for node in readers_of(model)["q"]] == ["split_q", "residual_node"]


def test_an_exported_encoder_has_no_heads_to_set_aside_and_adds_none_before_normalising(exported):
    model = onnx.load(exported.folder / ENCODER)
    makers = {name: node for node in model.graph.node for name in node.output}
    normalised = [n.input[0] for n in model.graph.node if n.op_type == "LayerNormalization"]

    assert "Transpose" not in kinds(model)
    assert {makers[name].op_type for name in normalised} == {"Sum"}
