"""The gate's grid covers every token count and the odd texts, and sees a graph that errs."""

import onnx
import pytest
from onnx import helper

from exporter.bundle_scoring import Lengths
from exporter.maxsim_graph import maxsim_graph, write_maxsim_graph
from exporter.parity_grid import grid_texts, integer_grid
from relevance.bundle import MAXSIM
from relevance.item_rows import RowCodec
from relevance.text import normalise
from tests.trainer.make_students import make_tokenizer

LENGTHS = Lengths(query=5, item=9)


def grid(folder, codec=RowCodec()):  # noqa: B008 - a frozen value
    return integer_grid(folder, dim=16, lengths=LENGTHS, scale=0.01, codec=codec)


def test_every_number_of_tokens_up_to_one_too_many_has_its_text():
    tokenizer = make_tokenizer()

    texts = grid_texts(tokenizer, LENGTHS)

    counts = {len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts}
    assert counts >= set(range(LENGTHS.item + 2))  # 0 to 10


def test_odd_texts_are_normalised_and_there_once():
    texts = grid_texts(make_tokenizer(), LENGTHS)

    assert all(text == normalise(text) for text in texts)
    assert len(set(texts)) == len(texts)
    assert max(map(len, texts)) > 4000
    assert "" in texts
    for mark in ("红色", "🔥", "[SEP]", "زجاجة"):
        assert any(mark in text for text in texts), mark


@pytest.mark.parametrize("codec", [RowCodec(), RowCodec(pooling=2), RowCodec(bits=4)])
def test_the_graph_is_exact_for_every_pair_of_token_counts(tmp_path, codec):
    write_maxsim_graph(tmp_path / MAXSIM, dim=16, bits=codec.bits)

    found = grid(tmp_path, codec)

    assert found.maxima_differing == 0
    assert found.similarity_max_difference < 0.02


def test_a_graph_that_lets_padding_win_is_seen(tmp_path):
    """With a maximum that starts at zero, items that resemble nothing score too well."""
    model = maxsim_graph(dim=16)
    (output,) = [node for node in model.graph.node if node.output[0] == "maxima"]
    output.output[0] = "raw"
    model.graph.node.append(helper.make_node("Relu", ["raw"], ["maxima"]))
    onnx.save(model, tmp_path / MAXSIM)

    found = grid(tmp_path)

    assert found.maxima_differing > 50
    assert found.similarity_max_difference > 0.5
    assert "query tokens" in found.worst
