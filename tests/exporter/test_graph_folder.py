"""Sentence-BERT and BERT as graphs: torch's logits, any batch, sealed, or not written at all."""

import copy
import json
import shutil

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import graph_folder
from exporter.graph_folder import FARTHEST, export_graphs, read_graphs
from exporter.student_graphs import CROSS_ENCODER, ENCODER, GRAPHS, SCORER, cosine_scorer
from relevance.bundle import MANIFEST, TOKENIZER
from relevance.errors import BadBundle, BadInput, GateRefused
from tests.trainer.make_students import SENTENCES, TITLES, build_any, make_card, make_tokenizer
from trainer.students.checkpoint import Checkpoint, read_student, write_checkpoint
from trainer.students.student import StudentKind

PAIRS = [(query, title) for query in SENTENCES[:4] for title in TITLES[:4]]
KINDS = (StudentKind.SENTENCE_BERT, StudentKind.BERT)


@pytest.fixture(scope="module", params=KINDS, ids=str)
def checkpoint(request, backbone_of_graphs, tmp_path_factory):
    """As it is read from disk, where "[SEP]" typed by a shopper is text."""
    student = build_any(request.param, backbone_of_graphs)
    card = make_card().model_copy(update={"student": request.param})
    folder = tmp_path_factory.mktemp("checkpoint") / "student"
    write_checkpoint(folder, Checkpoint(student.eval(), make_tokenizer(), card))
    return read_student(folder)


@pytest.fixture(scope="module")
def backbone_of_graphs(tmp_path_factory):
    from tests.trainer.make_students import write_backbone

    return write_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("graphs") / "out"
    export_graphs(checkpoint, PAIRS, out, licence="apache-2.0")
    return out


def test_graphs_give_torchs_logits(checkpoint, folder):
    manifest, score = read_graphs(folder)

    found = score(PAIRS)

    assert manifest.student is checkpoint.card.student
    assert manifest.logit_max_difference <= FARTHEST
    assert manifest.pairs_compared > 100  # real pairs and the odd ones
    expected = graph_folder._torch_logits(checkpoint, PAIRS)
    assert np.abs(found - expected).max() <= FARTHEST
    assert found.std() > 0


def test_a_side_without_a_token_has_no_logit(folder):
    _, score = read_graphs(folder)

    assert np.isnan(score([("", TITLES[0]), (SENTENCES[0], "")])).all()


def test_a_batch_gives_what_each_text_gives_alone(checkpoint, folder):
    name, output = (
        (CROSS_ENCODER, "logit")
        if checkpoint.card.student is StudentKind.BERT
        else (ENCODER, "vector")
    )
    session = ort.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
    inputs = [one.name for one in session.get_inputs()]
    ids = np.array([[2, 7, 8, 9, 3], [2, 7, 3, 0, 0]])
    attention = (ids > 0).astype(np.int64)
    feeds = {"input_ids": ids, "attention_mask": attention, "token_type_ids": np.zeros_like(ids)}

    together = session.run([output], {name: feeds[name] for name in inputs})[0]

    for row, length in ((0, 5), (1, 3)):
        feed = {name: feeds[name][row : row + 1, :length] for name in inputs}
        assert session.run([output], feed)[0][0] == pytest.approx(together[row], abs=1e-5)


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 9), st.integers(0, 99))
def test_the_cosine_scorer_is_its_definition(queries, items, dim, seed):
    random = np.random.default_rng(seed)
    query, rows = (random.normal(size=(n, dim)).astype(np.float32) for n in (queries, items))
    graph = cosine_scorer(dim=dim, weight=11.5, bias=-3.0).SerializeToString()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])

    (found,) = session.run(["logits"], {"query": query, "items": rows})

    assert found == pytest.approx(11.5 * (query @ rows.T) - 3.0, abs=1e-3)


def test_graphs_that_differ_from_torch_are_not_written(checkpoint, folder, tmp_path, monkeypatch):
    """The graphs are those of a student whose weights have changed since."""

    def copied(out, student):
        names = GRAPHS[student.kind]
        for name in names:
            shutil.copyfile(folder / name, out / name)
        return names

    changed = copy.deepcopy(checkpoint)
    with torch.no_grad():
        for weights in changed.student.parameters():
            weights.add_(0.01 * torch.ones_like(weights))

    monkeypatch.setattr(graph_folder, "write_student_graphs", copied)

    with pytest.raises(GateRefused, match="no graphs: expected logits within 0.0001 of torch's"):
        export_graphs(changed, PAIRS, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_student_without_graphs_here_is_refused(backbone_of_graphs, tmp_path):
    student = build_any(StudentKind.REPRBERT, backbone_of_graphs)
    card = make_card().model_copy(update={"student": StudentKind.REPRBERT})

    with pytest.raises(BadInput, match="graphs: expected one of sentence_bert, bert, got a repr"):
        export_graphs(Checkpoint(student, make_tokenizer(), card), PAIRS, tmp_path / "out")


@pytest.mark.parametrize("name", [TOKENIZER, SCORER, CROSS_ENCODER, MANIFEST])
def test_a_changed_file_is_named(folder, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    if not (copy / name).exists():
        name = TOKENIZER
    (copy / name).write_bytes((copy / name).read_bytes()[:-9])

    with pytest.raises(BadBundle, match=name):
        read_graphs(copy)


def test_an_absent_file_and_a_foreign_manifest_are_named(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / TOKENIZER).unlink()
    with pytest.raises(BadBundle, match="tokenizer.json: the manifest names this file, but"):
        read_graphs(copy)

    content = json.loads((copy / MANIFEST).read_text()) | {"format": "relevance-graphs/2"}
    (copy / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(BadBundle, match="`format`"):
        read_graphs(copy)
    with pytest.raises(BadBundle, match="expected a manifest of graphs: No such file"):
        read_graphs(tmp_path / "nothing")
