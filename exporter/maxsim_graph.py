"""Integer MaxSim as an ONNX graph, written operator by operator.

    8 bits   Gather → MatMulInteger → ReduceMax
    4 bits   Gather → halves apart → two products a half → ReduceMax

It follows `relevance.late_interaction.integer_maxima`; a test holds it to it. The arena is an
input, not a weight: the service maps it from disk and ONNX Runtime reads it in place.
Scales, mean and logit are left out: ONNX Runtime's float64 mean differs in the last bits with a
row's place in the batch, so `relevance.late_interaction.logits` adds them up in a fixed order.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from relevance.item_rows import RowCodec
from relevance.late_interaction import FOUR_BIT_LIMIT, ITEM_ZERO_POINT

OPSET = 18  # ReduceMax takes its axes as an input from here on
IR_VERSION = 9

Parts = tuple[list[NodeProto], dict[str, np.ndarray]]


def maxsim_graph(*, dim: int, bits: int = 8) -> onnx.ModelProto:
    """The graph for embeddings of `dim` dimensions; see `relevance.bundle` for its inputs."""
    nodes, constants = _PARTS[bits]()
    row_bytes = RowCodec.model_validate({"bits": bits}).row_bytes(dim)
    graph = helper.make_graph(
        nodes,
        "integer_maxsim",
        [
            helper.make_tensor_value_info("query", TensorProto.INT8, ["query_tokens", dim]),
            helper.make_tensor_value_info("arena", TensorProto.UINT8, ["items", "rows", row_bytes]),
            helper.make_tensor_value_info("positions", TensorProto.INT64, ["candidates"]),
        ],
        [
            helper.make_tensor_value_info(
                "maxima", TensorProto.INT32, ["candidates", "query_tokens"]
            )
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write_maxsim_graph(path: Path, *, dim: int, bits: int = 8) -> None:
    """Write the graph to `path`."""
    onnx.save(maxsim_graph(dim=dim, bits=bits), path)


def _eight_bits() -> Parts:
    nodes = [
        helper.make_node("Gather", ["arena", "positions"], ["items"], axis=0),
        helper.make_node("Transpose", ["query"], ["query_columns"], perm=[1, 0]),
        helper.make_node("MatMulInteger", ["items", "query_columns", "zero_point"], ["dots"]),
        helper.make_node("ReduceMax", ["dots", "rows_axis"], ["maxima"], keepdims=0),
    ]
    constants: dict[str, np.ndarray] = {
        "zero_point": np.array(ITEM_ZERO_POINT, np.uint8),
        "rows_axis": np.array([1], np.int64),
    }
    return nodes, constants


def _four_bits() -> Parts:
    """Numbers n of a row's two halves give the dot product 2 q·n − 15 Σq of its odd steps.

    A byte is n_low + 16 n_high, so q·n = q_low·byte + q_high·n_high − 16 q_low·n_high: only the
    upper half must be taken apart. Division and rounding in float32 do that several times faster
    than ONNX Runtime shifts bits: (byte − 7.5) / 16 never lies half way between two numbers.
    """
    nodes = [
        helper.make_node("Gather", ["arena", "positions"], ["items"], axis=0),
        helper.make_node("Cast", ["items"], ["items_float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["items_float", "below_middle"], ["shifted"]),
        helper.make_node("QuantizeLinear", ["shifted", "sixteen_float", "zero"], ["high"]),
        helper.make_node("Transpose", ["query"], ["query_columns"], perm=[1, 0]),
        helper.make_node("Split", ["query_columns"], ["low_query", "high_query"], num_outputs=2),
        helper.make_node("MatMulInteger", ["items", "low_query"], ["bytes_dot"]),
        helper.make_node("MatMulInteger", ["high", "high_query"], ["high_dot"]),
        helper.make_node("MatMulInteger", ["high", "low_query"], ["counted_in"]),
        helper.make_node("Mul", ["counted_in", "sixteen"], ["too_much"]),
        helper.make_node("Add", ["bytes_dot", "high_dot"], ["both_dots"]),
        helper.make_node("Sub", ["both_dots", "too_much"], ["numbers_dot"]),
        helper.make_node("ReduceMax", ["numbers_dot", "rows_axis"], ["best"], keepdims=0),
        helper.make_node("Cast", ["query"], ["query_numbers"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["query_numbers", "rows_axis"], ["query_sum"], keepdims=0),
        helper.make_node("Mul", ["query_sum", "limit"], ["offset"]),
        helper.make_node("Mul", ["best", "two"], ["twice"]),
        helper.make_node("Sub", ["twice", "offset"], ["maxima"]),
    ]
    constants: dict[str, np.ndarray] = {
        "below_middle": np.array(7.5, np.float32),
        "sixteen_float": np.array(16, np.float32),
        "zero": np.array(0, np.uint8),
        "sixteen": np.array(16, np.int32),
        "rows_axis": np.array([1], np.int64),
        "limit": np.array(FOUR_BIT_LIMIT, np.int32),
        "two": np.array(2, np.int32),
    }
    return nodes, constants


_PARTS: Mapping[int, Callable[[], Parts]] = {8: _eight_bits, 4: _four_bits}
