"""sentence-transformers loads our ColBERT and BERT, scores the same, and its folders load here."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from tests.trainer.make_students import CATALOGUE, build_any, make_card, make_checkpoint, shop_pairs
from trainer.material import start_student
from trainer.recipes import Recipe
from trainer.scoring import score_text_pairs
from trainer.students.backbone import read_backbone
from trainer.students.checkpoint import Checkpoint
from trainer.students.interop import LOGIT, special_tokens, write_sentence_transformers
from trainer.students.student import StudentKind

PAIRS = shop_pairs()[::17]
TEXTS = [(pair.query, CATALOGUE[pair.item_id].title) for pair in PAIRS]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library's own


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch):
    """Both sides without bfloat16, in which a pair's score depends on its batch."""
    monkeypatch.setattr("trainer.students.precision.has_native_bfloat16", lambda device: False)


def bert_checkpoint(backbone_folder) -> Checkpoint:
    student = build_any(StudentKind.BERT, backbone_folder)
    card = make_card().model_copy(update={"student": StudentKind.BERT})
    return Checkpoint(student, read_backbone(str(backbone_folder)).tokenizer, card)


@pytest.mark.slow
def test_a_colbert_loads_as_a_multi_vector_encoder_with_the_same_scores(backbone_folder, tmp_path):
    from sentence_transformers import MultiVectorEncoder

    checkpoint = make_checkpoint(backbone_folder)
    write_sentence_transformers(tmp_path / "colbert", checkpoint)

    model = MultiVectorEncoder(str(tmp_path / "colbert"), device="cpu")
    queries = model.encode_query([query for query, _ in TEXTS])
    items = model.encode_document([title for _, title in TEXTS])
    found = model.similarity_pairwise(queries, items).numpy()

    logit = json.loads((tmp_path / "colbert" / LOGIT).read_text())
    expected = score_text_pairs(checkpoint, PAIRS, CATALOGUE)
    assert logit["weight"] * found + logit["bias"] == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.1


@pytest.mark.slow
def test_a_bert_loads_as_a_cross_encoder_with_the_same_probabilities(backbone_folder, tmp_path):
    from sentence_transformers import CrossEncoder

    checkpoint = bert_checkpoint(backbone_folder)
    write_sentence_transformers(tmp_path / "bert", checkpoint)

    found = CrossEncoder(str(tmp_path / "bert"), device="cpu").predict(TEXTS)

    expected = sigmoid(score_text_pairs(checkpoint, PAIRS, CATALOGUE))
    assert found == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.01


@pytest.mark.slow
def test_what_sentence_transformers_saved_starts_a_student_that_scores_the_same(
    backbone_folder, tmp_path
):
    from sentence_transformers import CrossEncoder, MultiVectorEncoder

    ours = {
        StudentKind.COLBERT: make_checkpoint(backbone_folder),
        StudentKind.BERT: bert_checkpoint(backbone_folder),
    }
    loaders = {StudentKind.COLBERT: MultiVectorEncoder, StudentKind.BERT: CrossEncoder}
    for kind, checkpoint in ours.items():
        write_sentence_transformers(tmp_path / kind, checkpoint)
        loaders[kind](str(tmp_path / kind), device="cpu").save(str(tmp_path / f"{kind}-saved"))

        backbone = read_backbone(str(tmp_path / f"{kind}-saved"))
        started = start_student(backbone, examples(backbone), Recipe("any", student=kind, dim=16))

        again = Checkpoint(started, backbone.tokenizer, checkpoint.card)
        found, expected = (score_text_pairs(each, PAIRS, CATALOGUE) for each in (again, checkpoint))
        if kind is StudentKind.COLBERT:  # the logit's slope and bias are the start's own
            found, expected = (
                (logits - of.student.bias.item()) / of.student.weight.item()
                for logits, of in ((found, again), (expected, checkpoint))
            )
        assert found == pytest.approx(expected, abs=1e-4)


def examples(backbone):
    from trainer.examples import TextLengths, make_examples, tokenise_texts

    texts = tokenise_texts(
        backbone.tokenizer, PAIRS, CATALOGUE, TextLengths(8, 12, make_card().item_text)
    )
    return make_examples(PAIRS, texts, {})[0]


def test_the_folder_holds_encoder_and_projection_and_is_read_back_as_a_backbone(
    backbone_folder, tmp_path
):
    checkpoint = make_checkpoint(backbone_folder)

    write_sentence_transformers(tmp_path / "colbert", checkpoint)
    backbone = read_backbone(str(tmp_path / "colbert"))

    weight = checkpoint.student.projection.weight
    assert torch.equal(backbone.head["projection"], weight)
    saved = load_file(tmp_path / "colbert" / "model.safetensors")
    assert all(torch.equal(t, saved[n]) for n, t in checkpoint.student.encoder.state_dict().items())
    assert special_tokens(checkpoint.tokenizer) == ("[CLS]", "[SEP]")


def test_a_bert_read_back_brings_its_head(backbone_folder, tmp_path):
    checkpoint = bert_checkpoint(backbone_folder)

    write_sentence_transformers(tmp_path / "bert", checkpoint)
    backbone = read_backbone(str(tmp_path / "bert"))
    started = start_student(backbone, examples(backbone), Recipe("any", student="bert", dim=16))

    again = Checkpoint(started, backbone.tokenizer, checkpoint.card)
    found, expected = (score_text_pairs(each, PAIRS, CATALOGUE) for each in (again, checkpoint))
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_student_the_library_has_no_place_for_is_refused(backbone_folder, tmp_path):
    student = build_any(StudentKind.POLY_ENCODER, backbone_folder)
    card = make_card().model_copy(update={"student": StudentKind.POLY_ENCODER})
    tokenizer = read_backbone(str(backbone_folder)).tokenizer

    with pytest.raises(BadInput, match="expected a colbert or bert student, got poly_encoder"):
        write_sentence_transformers(tmp_path / "poly", Checkpoint(student, tokenizer, card))
    assert not (tmp_path / "poly").exists()
