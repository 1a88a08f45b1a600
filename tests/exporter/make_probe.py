"""Makes the graph that `relevance.integer_products` asks with: one product of 8-bit numbers.

`python -m tests.exporter.make_probe` writes it; a test holds the file to it.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from relevance.integer_products import INPUTS, LARGEST_WEIGHT, OUTPUTS, PROBE


def probe() -> onnx.ModelProto:
    """steps (tokens, INPUTS) · a constant weight → sums."""
    weight = np.full((INPUTS, OUTPUTS), LARGEST_WEIGHT, np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["steps", "weight"], ["sums"])],
        "integer_products",
        [helper.make_tensor_value_info("steps", TensorProto.UINT8, ["tokens", INPUTS])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, ["tokens", OUTPUTS])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


if __name__ == "__main__":
    PROBE.write_bytes(probe().SerializeToString())
