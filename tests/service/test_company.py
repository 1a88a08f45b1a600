"""Texts in company get the bits they get alone, or no company."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from relevance.bundle import Precision
from service.company import MOST_TEXTS, keeps_texts_apart, runs_of
from service.encoder import OUTPUT, OnnxTokenEncoder
from service.execution import ON_CPU, Execution
from service.item_codec import ItemCodec
from tests.service.conftest import UNHURRIED
from tests.service.make_bundle import encoder_graph, make_tokenizer

DIM = 16
TEXTS = st.lists(st.text(max_size=20) | st.text("abc ,", max_size=20), max_size=30)


class CountingSession:
    """A graph and how many texts each run had."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._session = ort.InferenceSession(model.SerializeToString())
        self.runs: list[int] = []

    def run(self, names: Sequence[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.runs.append(len(feeds["input_ids"]))
        found: list[np.ndarray] = self._session.run(names, feeds)
        return found


def make_encoder(model: onnx.ModelProto, *, may_share: bool) -> OnnxTokenEncoder:
    session = CountingSession(model)
    return OnnxTokenEncoder(make_tokenizer(), session, dim=DIM, may_share=may_share, longest=12)  # type: ignore[arg-type]


def make_graph() -> onnx.ModelProto:
    """The tiny bundle's encoder without the sum over a text's tokens, which ONNX Runtime adds up
    in another order where there are several texts."""
    model = encoder_graph(vocabulary=make_tokenizer().get_vocab_size(), dim=DIM, seed=0)
    kept = [node for node in model.graph.node if node.op_type != "ReduceSum"]
    for node in kept:
        node.input[:] = ["masked" if name == "company" else name for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def make_graph_that_mixes_texts() -> onnx.ModelProto:
    """Everything is divided by the largest value of the run, as a range over the run would."""
    model = make_graph()
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["unmixed" if name == OUTPUT else name for name in node.output]
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["unmixed"], ["largest"], keepdims=0),
            helper.make_node("Div", ["unmixed", "largest"], ["mixed"]),
            helper.make_node("Cast", ["mixed"], [output.name], to=TensorProto.FLOAT),
        ]
    )
    return model


@given(st.lists(st.integers(1, 6), max_size=60), st.integers(1, 9))
def test_every_text_is_in_one_run_with_texts_of_its_length(lengths, at_most) -> None:
    runs = list(runs_of(lengths, at_most=at_most))

    assert sorted(place for run in runs for place in run) == list(range(len(lengths)))
    assert all(0 < len(run) <= at_most for run in runs)
    assert all(len({lengths[place] for place in run}) == 1 for run in runs)
    fewest = sum(-(-lengths.count(length) // at_most) for length in set(lengths))
    assert len(runs) == fewest


@UNHURRIED
@given(texts=TEXTS, limit=st.integers(1, 12), mixes=st.booleans(), may_share=st.booleans())
def test_in_company_a_text_has_the_bits_it_has_alone(texts, limit, mixes, may_share) -> None:
    model = make_graph_that_mixes_texts() if mixes else make_graph()
    encoder = make_encoder(model, may_share=may_share)

    together = encoder.encode_all(texts, limit=limit)

    alone = [encoder.encode(text, limit=limit) for text in texts]
    assert [one.vectors.tobytes() for one in together] == [one.vectors.tobytes() for one in alone]
    assert [(one.offsets, one.truncated) for one in together] == [
        (one.offsets, one.truncated) for one in alone
    ]


def runs_for(texts: list[str], model: onnx.ModelProto, *, may_share: bool) -> list[int]:
    encoder = make_encoder(model, may_share=may_share)
    encoder.encode_all(["first"], limit=4)  # tries the graph out
    session: CountingSession = encoder._session  # type: ignore[assignment]
    session.runs.clear()
    encoder.encode_all(texts, limit=4)
    return session.runs


def test_texts_of_one_length_share_runs_where_the_graph_keeps_them_apart() -> None:
    texts = ["red lamp", "oak", "blue desk", "", "lamp"] * 4

    assert runs_for(texts, make_graph(), may_share=True) == [8, 8]
    assert runs_for(texts, make_graph(), may_share=False) == [1] * 16
    assert runs_for(texts, make_graph_that_mixes_texts(), may_share=True) == [1] * 16


def test_a_graph_whose_texts_see_each_other_is_found_out() -> None:
    def apart(ids: np.ndarray) -> np.ndarray:
        return np.repeat(ids[..., None].astype(np.float32), DIM, axis=-1)

    def mixed_in_large_runs(ids: np.ndarray) -> np.ndarray:
        return apart(ids) + np.float32(len(ids) == MOST_TEXTS)

    assert keeps_texts_apart(apart, vocabulary=50, longest=30)
    assert not keeps_texts_apart(mixed_in_large_runs, vocabulary=50, longest=2)


@pytest.mark.parametrize(
    ("precision", "shares"),
    [
        (Precision.FP32, True),
        (Precision.INT8_STATIC, True),
        (Precision.INT8_DYNAMIC, False),
        (Precision.FP16, False),
    ],
)
def test_the_bundles_precision_says_whether_texts_may_share(
    bundle_folder, bundle, precision, shares
) -> None:
    def opened(path: Path, execution: Execution = ON_CPU) -> CountingSession:
        return CountingSession(make_graph())

    manifest = bundle.model_copy(update={"precision": precision})

    encoder = OnnxTokenEncoder.read(bundle_folder, manifest, opened=opened)  # type: ignore[arg-type]

    assert encoder._shares_runs is shares


@UNHURRIED
@given(texts=TEXTS)
def test_items_have_the_same_bytes_either_way(bundle_folder, bundle, texts) -> None:
    codec = ItemCodec(OnnxTokenEncoder.read(bundle_folder, bundle), bundle)

    one_by_one, together = codec.encode(texts), codec.encode_all(texts)

    assert one_by_one.embeddings.tobytes() == together.embeddings.tobytes()
    assert one_by_one.token_counts.tolist() == together.token_counts.tolist()
    assert one_by_one.truncated.tolist() == together.truncated.tolist()
