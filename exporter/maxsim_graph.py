"""Integer MaxSim as an ONNX graph, written operator by operator.

    Gather → MatMulInteger → ReduceMax

It follows `relevance.late_interaction.integer_maxima`; a test holds it to it. The arena is an
input, not a weight: the service maps it from disk and ONNX Runtime reads it in place.
Scales, mean and logit are left out: ONNX Runtime's float64 mean differs in the last bits with a
row's place in the batch, so `relevance.late_interaction.logits` adds them up in a fixed order.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from relevance.late_interaction import ITEM_ZERO_POINT

OPSET = 18  # ReduceMax takes its axes as an input from here on
IR_VERSION = 9


def maxsim_graph(*, dim: int) -> onnx.ModelProto:
    """The graph for embeddings of `dim` dimensions; see `relevance.bundle` for its inputs."""
    nodes = [
        helper.make_node("Gather", ["arena", "positions"], ["items"], axis=0),
        helper.make_node("Transpose", ["query"], ["query_columns"], perm=[1, 0]),
        helper.make_node("MatMulInteger", ["items", "query_columns", "zero_point"], ["dots"]),
        helper.make_node("ReduceMax", ["dots", "rows_axis"], ["maxima"], keepdims=0),
    ]
    constants = {
        "zero_point": np.array(ITEM_ZERO_POINT, np.uint8),
        "rows_axis": np.array([1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "integer_maxsim",
        [
            helper.make_tensor_value_info("query", TensorProto.INT8, ["query_tokens", dim]),
            helper.make_tensor_value_info("arena", TensorProto.UINT8, ["items", "rows", dim]),
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


def write_maxsim_graph(path: Path, *, dim: int) -> None:
    """Write the graph to `path`."""
    onnx.save(maxsim_graph(dim=dim), path)
