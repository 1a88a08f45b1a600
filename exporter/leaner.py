"""An exported encoder's graph with fewer and quicker operators; it computes the same.

    Reshape → Transpose → Attention → Transpose → Reshape   becomes   Attention with head counts
    Add → LayerNormalization                                becomes   Sum → LayerNormalization

The second keeps ONNX Runtime from its SkipLayerNormalization, which on a CPU takes three times as
long as a sum and a LayerNormalization (docs/export.md). What is not found in this form stays.
"""

from collections.abc import Mapping, Sequence

import onnx
from onnx import NodeProto, helper

HEADS_ASIDE = [0, 2, 1, 3]  # (batch, tokens, heads, size) ↔ (batch, heads, tokens, size)


def lean(model: onnx.ModelProto, *, heads: int) -> onnx.ModelProto:
    """A copy of `model`, whose attentions have so many heads, of queries, keys and values alike."""
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    _sum_before_normalising(rewritten)
    gone = _attend_in_three_dimensions(rewritten, heads)
    remaining = [node for node in rewritten.graph.node if node.name not in gone]
    del rewritten.graph.node[:]
    rewritten.graph.node.extend(remaining)
    return rewritten


def readers_of(model: onnx.ModelProto) -> dict[str, list[NodeProto]]:
    """The nodes that read each value."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _attend_in_three_dimensions(model: onnx.ModelProto, heads: int) -> set[str]:
    """Attention reads and writes (batch, tokens, heads × size); the names of what goes then."""
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = readers_of(model)
    gone: set[str] = set()
    for node in model.graph.node:
        if node.op_type != "Attention":
            continue
        before = [_split_heads(name, makers, readers) for name in node.input[:3]]
        after = _joined_heads(node.output[0], readers)
        found = [pair for pair in before if pair is not None]
        if len(found) < len(before) or after is None:
            continue
        for at, (reshape, transpose) in enumerate(found):
            node.input[at] = reshape.input[0]
            gone |= {reshape.name, transpose.name}
        gone |= {each.name for each in after}
        node.output[0] = after[-1].output[0]
        node.attribute.extend(
            helper.make_attribute(name, heads) for name in ("q_num_heads", "kv_num_heads")
        )
    return gone


def _split_heads(
    name: str, makers: Mapping[str, NodeProto], readers: Mapping[str, Sequence[NodeProto]]
) -> tuple[NodeProto, NodeProto] | None:
    """The Reshape and the Transpose that made a value which nothing else reads."""
    transpose = makers.get(name)
    if transpose is None or not _sets_heads_aside(transpose) or len(readers[name]) != 1:
        return None
    reshape = makers.get(transpose.input[0])
    if reshape is None or reshape.op_type != "Reshape" or len(readers[reshape.output[0]]) != 1:
        return None
    return reshape, transpose


def _joined_heads(
    name: str, readers: Mapping[str, Sequence[NodeProto]]
) -> tuple[NodeProto, NodeProto] | None:
    """The Transpose and the Reshape behind an attention, if nothing else reads it."""
    transposes = readers.get(name, ())
    if len(transposes) != 1 or not _sets_heads_aside(transposes[0]):
        return None
    reshapes = readers.get(transposes[0].output[0], ())
    if len(reshapes) != 1 or reshapes[0].op_type != "Reshape":
        return None
    return transposes[0], reshapes[0]


def _sets_heads_aside(node: NodeProto) -> bool:
    return node.op_type == "Transpose" and list(node.attribute[0].ints) == HEADS_ASIDE


def _sum_before_normalising(model: onnx.ModelProto) -> None:
    normalised = {n.input[0] for n in model.graph.node if n.op_type == "LayerNormalization"}
    readers = readers_of(model)
    for node in model.graph.node:
        name = node.output[0]
        if node.op_type == "Add" and name in normalised and len(readers[name]) == 1:
            node.op_type = "Sum"
