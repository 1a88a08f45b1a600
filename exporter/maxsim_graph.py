"""The integer MaxSim scorer as an ONNX graph, written operator by operator.

    Gather → MatMulInteger → ReduceMax → (int32 → float64) · scales → mean → weight·x + bias

It follows `relevance.late_interaction.integer_maxima` and `token_contributions`; tests hold it to
them. The arena is an input, not a weight: the service maps it from disk and ONNX Runtime reads it
in place. After the maximum all arithmetic is float64, so `/explain` can add up the same terms.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from relevance.late_interaction import ITEM_ZERO_POINT

OPSET = 18  # ReduceMax and ReduceMean take int32 and axes as inputs from here on
IR_VERSION = 9


def maxsim_graph(*, dim: int, item_scale: float, weight: float, bias: float) -> onnx.ModelProto:
    """The scorer for embeddings of `dim` dimensions; see `relevance.bundle` for its inputs."""
    nodes = [
        helper.make_node("Gather", ["arena", "positions"], ["items"], axis=0),
        helper.make_node("Transpose", ["query"], ["query_columns"], perm=[1, 0]),
        helper.make_node("MatMulInteger", ["items", "query_columns", "zero_point"], ["dots"]),
        helper.make_node("ReduceMax", ["dots", "rows_axis"], ["maxima"], keepdims=0),
        helper.make_node("Cast", ["maxima"], ["steps"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["query_scales"], ["scales"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["scales", "item_scale"], ["token_scales"]),
        helper.make_node("Mul", ["steps", "token_scales"], ["cosines"]),
        helper.make_node("ReduceMean", ["cosines", "tokens_axis"], ["similarity"], keepdims=0),
        helper.make_node("Mul", ["similarity", "weight"], ["weighted"]),
        helper.make_node("Add", ["weighted", "bias"], ["logits"]),
    ]
    constants = {
        "zero_point": np.array(ITEM_ZERO_POINT, np.uint8),
        "rows_axis": np.array([1], np.int64),
        "tokens_axis": np.array([1], np.int64),
        "item_scale": np.array(item_scale, np.float64),
        "weight": np.array(weight, np.float64),
        "bias": np.array(bias, np.float64),
    }
    graph = helper.make_graph(
        nodes,
        "integer_maxsim",
        [
            helper.make_tensor_value_info("query", TensorProto.INT8, ["query_tokens", dim]),
            helper.make_tensor_value_info("query_scales", TensorProto.FLOAT, ["query_tokens"]),
            helper.make_tensor_value_info("arena", TensorProto.UINT8, ["items", "rows", dim]),
            helper.make_tensor_value_info("positions", TensorProto.INT64, ["candidates"]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.DOUBLE, ["candidates"]),
            helper.make_tensor_value_info(
                "maxima", TensorProto.INT32, ["candidates", "query_tokens"]
            ),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write_maxsim_graph(
    path: Path, *, dim: int, item_scale: float, weight: float, bias: float
) -> None:
    """Write the scorer's graph to `path`."""
    onnx.save(maxsim_graph(dim=dim, item_scale=item_scale, weight=weight, bias=bias), path)
