"""The encoder's matrix products in 8 bits, rewritten operator by operator.

    x ─┬─ all but a few channels → 8-bit steps → MatMulInteger → scales → + bias ─┬─ +
       └─ the few largest channels → MatMul in float32 ───────────────────────────┘

Steps come by each text's own range (`int8_dynamic`), or by one found beforehand on real texts
(`int8_static`), with which a text's bits do not depend on others in its batch.

A transformer has a few activation channels many times as large as the rest; one range for all
then spends its 256 steps on them, and candidate lists come out in another order (docs/export.md).
So each product keeps as many of its largest input channels in float32 as it needs, often none.
Weights take 8 bits with a scale an output; word embeddings, half of the file, a scale a word.

Left in float32: attention's inner products, normalisations, biases.

Sources: Dettmers et al., "LLM.int8()" (NeurIPS 2022) for the split; Kovaleva et al., "BERT
Busters" (Findings of ACL 2021) for the channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper, numpy_helper

from exporter.eight_bits import choose_channels, quantised_weight, range_of, without
from exporter.leaner import readers_of
from relevance.bundle import Precision
from relevance.errors import BadInput

LARGE_TABLE = 1000  # rows from which an embedding table is worth 8 bits

Feed = Mapping[str, np.ndarray]
Parts = tuple[list[NodeProto], dict[str, np.ndarray]]  # of a graph: nodes, constants by name


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One activation and the products that multiply it by constant weights (inputs, outputs).

    `biases`, the additions of a constant right behind the products, are there for all or for none.
    """

    activation: str
    products: tuple[NodeProto, ...]
    weights: tuple[np.ndarray, ...]
    biases: tuple[NodeProto, ...]
    bias: np.ndarray | None

    @property
    def nodes(self) -> tuple[NodeProto, ...]:
        """What is replaced, the first by what replaces all."""
        return (*self.products, *self.biases)

    @property
    def outputs(self) -> list[str]:
        """The names that the rest of the graph reads."""
        return [node.output[0] for node in self.biases or self.products]


def quantised_encoder(
    model: onnx.ModelProto, feeds: Sequence[Feed], precision: Precision
) -> onnx.ModelProto:
    """A copy of a float32 encoder with 8-bit products; `feeds` are encoder inputs of real texts.

    Raises `BadInput` without a feed: ranges and balance need texts.
    """
    if not feeds:
        raise BadInput("8-bit encoder: expected texts to find ranges on, got none")
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    sites = _sites(rewritten)
    samples = _activations(rewritten, [site.activation for site in sites], feeds)
    new_inputs: dict[str, list[NodeProto]] = {}
    replaced: dict[str, list[NodeProto]] = {}
    for site in sites:
        texts = samples[site.activation]
        kept = choose_channels(texts, site.weights, fixed=precision is Precision.INT8_STATIC)
        new_inputs[site.activation], constants = _input(site.activation, kept, texts, precision)
        _add(rewritten, constants)
        nodes, constants = _product(site, kept)
        replaced |= dict.fromkeys((node.name for node in site.nodes), [])
        replaced[site.products[0].name] = nodes
        _add(rewritten, constants)
    _rewire(rewritten, new_inputs, replaced)
    _widen_sums(rewritten)
    _quantise_tables(rewritten)
    _drop_unused(rewritten)
    return rewritten


def _input(
    activation: str, kept: np.ndarray, texts: Sequence[np.ndarray], precision: Precision
) -> Parts:
    """`activation`_steps, _scale and _zero; `activation`_kept where channels stay in float32."""
    nodes: list[NodeProto] = []
    constants: dict[str, np.ndarray] = {}
    if len(kept):
        channels, apart = f"{activation}_channels", f"{activation}_kept"
        constants[channels] = kept
        nodes.append(
            helper.make_node("Gather", [activation, channels], [apart], f"{apart}_node", axis=-1)
        )
    quantise = _QUANTISERS[precision]
    more_nodes, more_constants = quantise(activation, kept, texts)
    return nodes + more_nodes, constants | more_constants


def _own_range(activation: str, kept: np.ndarray, texts: Sequence[np.ndarray]) -> Parts:
    """Each text's own range, which the kept channels may not widen."""
    nodes: list[NodeProto] = []
    constants: dict[str, np.ndarray] = {}
    rounded = activation
    if len(kept):
        rounded, mask = f"{activation}_rounded", f"{activation}_mask"
        constants[mask] = np.ones(texts[0].shape[1], np.float32)
        constants[mask][kept] = 0
        nodes.append(helper.make_node("Mul", [activation, mask], [rounded], f"{rounded}_node"))
    steps = [f"{activation}_{name}" for name in ("steps", "scale", "zero")]
    nodes.append(helper.make_node("DynamicQuantizeLinear", [rounded], steps, f"{steps[0]}_node"))
    return nodes, constants


def _fixed_range(activation: str, kept: np.ndarray, texts: Sequence[np.ndarray]) -> Parts:
    """One range for all texts, so that a token's steps never depend on neighbours.

    Kept channels are clipped and then multiplied by weights of 0.
    """
    steps, scale, zero = (f"{activation}_{name}" for name in ("steps", "scale", "zero"))
    found = range_of(np.concatenate([without(text, kept) for text in texts]))
    inputs = [activation, scale, zero]
    node = helper.make_node("QuantizeLinear", inputs, [steps], f"{steps}_node")
    return [node], dict(zip((scale, zero), found, strict=True))


_QUANTISERS = {Precision.INT8_DYNAMIC: _own_range, Precision.INT8_STATIC: _fixed_range}


def _product(site: Site, kept: np.ndarray) -> Parts:
    """MatMulInteger → float → scales → + bias, one kernel in ONNX Runtime; + kept part.

    Products of one activation (queries, keys and values of an attention) become one and are split.
    """
    weight = np.concatenate(site.weights, axis=1)
    steps, scales = quantised_weight(without(weight.T, kept).T)
    base, outputs = site.products[0].name, site.outputs
    whole = outputs[0] if len(outputs) == 1 else f"{base}_whole"
    part = f"{base}_part" if len(kept) else whole
    scaled = part if site.bias is None else f"{base}_scaled"
    given = [f"{site.activation}_{name}" for name in ("steps", "scale", "zero")]
    nodes = [
        helper.make_node("MatMulInteger", [given[0], f"{base}_steps", given[2]], [f"{base}_sums"]),
        helper.make_node("Cast", [f"{base}_sums"], [f"{base}_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [given[1], f"{base}_scales"], [f"{base}_scale"]),
        helper.make_node("Mul", [f"{base}_float", f"{base}_scale"], [scaled]),
    ]
    constants: dict[str, np.ndarray] = {f"{base}_steps": steps, f"{base}_scales": scales}
    if site.bias is not None:
        constants[f"{base}_bias"] = site.bias
        nodes.append(helper.make_node("Add", [scaled, f"{base}_bias"], [part]))
    if len(kept):
        constants[f"{base}_kept"] = weight[kept]
        inputs = [f"{site.activation}_kept", f"{base}_kept"]
        nodes.append(helper.make_node("MatMul", inputs, [f"{base}_rest"]))
        nodes.append(helper.make_node("Add", [part, f"{base}_rest"], [whole]))
    if len(outputs) > 1:
        constants[f"{base}_widths"] = np.array([w.shape[1] for w in site.weights], np.int64)
        nodes.append(helper.make_node("Split", [whole, f"{base}_widths"], outputs, axis=-1))
    return nodes, constants


def _sites(model: onnx.ModelProto) -> list[Site]:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    products: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            products.setdefault(node.input[0], []).append(node)
    readers = readers_of(model)
    return [_site(activation, nodes, constants, readers) for activation, nodes in products.items()]


def _site(
    activation: str,
    products: Sequence[NodeProto],
    constants: Mapping[str, TensorProto],
    readers: Mapping[str, Sequence[NodeProto]],
) -> Site:
    weights = tuple(numpy_helper.to_array(constants[node.input[1]]) for node in products)
    added = [_bias(node.output[0], constants, readers) for node in products]
    found = [each for each in added if each is not None]
    biases: tuple[NodeProto, ...] = ()
    bias = None
    if len(found) == len(products):
        biases = tuple(node for node, _ in found)
        bias = np.concatenate([values for _, values in found])
    return Site(activation, tuple(products), weights, biases, bias)


def _bias(
    product: str, constants: Mapping[str, TensorProto], readers: Mapping[str, Sequence[NodeProto]]
) -> tuple[NodeProto, np.ndarray] | None:
    """The addition of a constant vector, if nothing else reads the product."""
    reading = readers.get(product, ())
    if len(reading) != 1 or reading[0].op_type != "Add":
        return None
    for name in reading[0].input:
        if name in constants and len(constants[name].dims) == 1:
            return reading[0], numpy_helper.to_array(constants[name])
    return None


def _activations(
    model: onnx.ModelProto, names: Sequence[str], feeds: Sequence[Feed]
) -> dict[str, list[np.ndarray]]:
    """The value of each name for each feed, as (tokens, channels)."""
    told = onnx.ModelProto()
    told.CopyFrom(model)
    del told.graph.output[:]
    told.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        told.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    samples: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for feed in feeds:
        for name, value in zip(names, session.run(list(names), dict(feed)), strict=True):
            samples[name].append(value.reshape(-1, value.shape[-1]))
    return samples


def _rewire(
    model: onnx.ModelProto,
    new_inputs: Mapping[str, list[NodeProto]],
    replaced: Mapping[str, list[NodeProto]],
) -> None:
    """Put each activation's quantising nodes right behind it and the new products in place."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        model.graph.node.extend(replaced.get(node.name, [node]))
        for output in node.output:
            model.graph.node.extend(new_inputs.get(output, []))


def _widen_sums(model: onnx.ModelProto) -> None:
    """A sum takes over the terms of an addition that it alone reads: one pass less over memory."""
    readers = readers_of(model)
    sums = [node for node in model.graph.node if node.op_type == "Sum"]
    alone = {name for node in sums for name in node.input if len(readers[name]) == 1}
    terms = {
        node.output[0]: list(node.input)
        for node in model.graph.node
        if node.op_type == "Add" and node.output[0] in alone
    }
    for node in sums:
        widened = [term for name in node.input for term in terms.get(name, [name])]
        del node.input[:]
        node.input.extend(widened)
    remaining = [node for node in model.graph.node if node.output[0] not in terms]
    del model.graph.node[:]
    model.graph.node.extend(remaining)


def _quantise_tables(model: onnx.ModelProto) -> None:
    """Large embedding tables as int8 rows, each with its own scale, looked up side by side."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        table = constants.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < LARGE_TABLE:
            model.graph.node.append(node)
            continue
        steps, scales = quantised_weight(numpy_helper.to_array(table).T)
        name, indices = table.name, node.input[1]
        _add(model, {f"{name}_steps": steps.T, f"{name}_scales": scales[:, None]})
        model.graph.node.extend(
            [
                helper.make_node("Gather", [f"{name}_steps", indices], [f"{name}_row"], axis=0),
                helper.make_node("Gather", [f"{name}_scales", indices], [f"{name}_scale"], axis=0),
                helper.make_node("Cast", [f"{name}_row"], [f"{name}_float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], list(node.output)),
            ]
        )


def _add(model: onnx.ModelProto, constants: Mapping[str, np.ndarray]) -> None:
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )


def _drop_unused(model: onnx.ModelProto) -> None:
    """The float weights that nothing reads any more."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
