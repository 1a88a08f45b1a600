"""What each student computes, against its paper's equations spelled out in NumPy."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from relevance.domain import Side
from relevance.errors import BadInput
from tests.trainer.make_students import build_any, make_text, tokens_of
from trainer.students.bert import PairTemplate, join_pairs, pair_template
from trainer.students.build import StudentShape, interacting_layers, student_kind
from trainer.students.colbert import at_dim
from trainer.students.poly_encoder import SHARPNESS
from trainer.students.reprbert import ReprBERT
from trainer.students.student import PairTexts, StudentKind
from trainer.students.texts import pad, tokenise

QUERY, ITEM = make_text(10, 11, 12), make_text(13, 14, 15, 16, 17)
ROW = torch.tensor([0])
PAIR = PairTexts(pad([QUERY]), pad([ITEM]), ROW, ROW)


@torch.no_grad()
def hidden_of(student, text, layer: int = -1) -> np.ndarray:
    batch = pad([text])
    output = student.encoder(
        input_ids=batch.ids, attention_mask=batch.attention, output_hidden_states=True
    )
    return output.hidden_states[layer][0].numpy().astype(np.float64)


@torch.no_grad()
def logit_of(student, pair=PAIR) -> float:
    return student.judge(pair, evidence=False).logits.item()


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def softmax(values: np.ndarray) -> np.ndarray:
    exponentials = np.exp(values - values.max())
    return exponentials / exponentials.sum()


def test_sentence_bert_compares_mean_token_vectors_by_cosine(backbone_folder):
    student = build_any(StudentKind.SENTENCE_BERT, backbone_folder)

    found = logit_of(student)

    query, item = (unit(hidden_of(student, text).mean(axis=0)) for text in (QUERY, ITEM))
    expected = student.logit.weight.item() * (query @ item) + student.logit.bias.item()
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_poly_encoders_item_mixes_the_querys_codes(backbone_folder):
    student = build_any(StudentKind.POLY_ENCODER, backbone_folder)

    found = logit_of(student)

    tokens = hidden_of(student, QUERY)
    codes = student.codes.detach().numpy()
    contexts = unit(np.stack([softmax(tokens @ code) @ tokens for code in codes]))
    item = unit(hidden_of(student, ITEM).mean(axis=0))
    mixture = unit(softmax(SHARPNESS * contexts @ item) @ contexts)
    expected = student.logit.weight.item() * (mixture @ item) + student.logit.bias.item()
    assert found == pytest.approx(expected, abs=1e-4)
    with torch.no_grad():
        assert student.encode(PAIR.items, Side.TITLE).vectors.shape == (1, 1, 32)
        assert student.encode(PAIR.queries, Side.QUERY).vectors.shape == (1, 3, 32)


def test_reprberts_layers_are_pooled_by_attention_from_the_texts_last_mean(backbone_folder):
    student = build_any(StudentKind.REPRBERT, backbone_folder)

    with torch.no_grad():
        found = student.encode(PAIR.items, Side.TITLE).vectors[0].numpy()

    guide = hidden_of(student, ITEM, student.layers[-1]).mean(axis=0)
    for row, layer, projection in zip(found, student.layers, student.projections, strict=True):
        state = hidden_of(student, ITEM, layer)
        pooled = softmax(state @ guide / np.sqrt(state.shape[1])) @ state
        assert row == pytest.approx(unit(projection.weight.detach().numpy() @ pooled), abs=1e-5)


@pytest.mark.parametrize("kind", [StudentKind.REPRBERT, StudentKind.LITE])
def test_an_interaction_that_has_learnt_nothing_leaves_the_similarity_alone(backbone_folder, kind):
    student = build_any(kind, backbone_folder)
    corrected = logit_of(student)
    with torch.no_grad():
        student.correct.weight.zero_()

        plain = logit_of(student)

        encoded = [student.encode(PAIR.queries, Side.QUERY), student.encode(PAIR.items, Side.TITLE)]
        if kind is StudentKind.LITE:
            expected = super(type(student), student).meet(*encoded)
        else:
            expected = student.logit((encoded[0].vectors[:, -1] * encoded[1].vectors[:, -1]).sum(1))
    assert plain == pytest.approx(expected.item(), abs=1e-5)
    assert plain != pytest.approx(corrected, abs=1e-3)


def test_a_heads_student_says_what_the_head_says(backbone_folder):
    student = build_any(StudentKind.COLBERT, backbone_folder)
    with torch.no_grad():
        student.head_weights.copy_(torch.tensor([3.0, 5.0]))
        student.head_biases.copy_(torch.tensor([-1.0, 0.5]))
        nested = student.judge(PAIR, evidence=False).nested

    for dim, expected in zip(student.heads, nested, strict=True):
        small = at_dim(student, dim)
        assert small.projection.out_features == dim
        assert logit_of(small) == pytest.approx(expected.item(), abs=1e-4)
    with pytest.raises(ValueError, match="expected one of the heads"):
        at_dim(student, 5)


def test_the_starting_head_keeps_as_much_as_its_size_can(backbone_folder, backbone):
    student = build_any(StudentKind.COLBERT, backbone_folder)
    titles = pad(
        tokenise(backbone.tokenizer, [f"{c} lamp desk" for c in ("red", "blue")], length=9)
    )

    student.start_projection(titles)

    alone = build_any(StudentKind.COLBERT, backbone_folder)
    alone.heads = ()
    alone.projection = torch.nn.Linear(32, 8, bias=False)
    alone.start_projection(titles)
    first, expected = (p.weight.detach() for p in (student.projection, alone.projection))
    # the same axes up to a rotation: the same projector
    torch.testing.assert_close(first[:8].T @ first[:8], expected.T @ expected, atol=1e-4, rtol=0)


def test_bert_reads_a_pair_as_the_tokenizer_joins_it(backbone_folder, backbone):
    student = build_any(StudentKind.BERT, backbone_folder)
    texts = [("red lamp", "blue desk lamp"), ("steel bottle", "chair")]
    queries = pad(tokenise(backbone.tokenizer, [query for query, _ in texts], length=8))
    items = pad(tokenise(backbone.tokenizer, [item for _, item in texts], length=8))
    rows = torch.arange(2)

    batch = join_pairs(PairTexts(queries, items, rows, rows), student.template)

    for at, (query, item) in enumerate(texts):
        joint = backbone.tokenizer.encode(query, item)
        length = int(batch.attention[at].sum())
        assert batch.ids[at, :length].tolist() == joint.ids
        assert batch.segments[at, :length].tolist() == joint.type_ids
        marked = (batch.query_at, batch.item_at)
        counts = [int(m[at].sum()) for m in marked]
        assert counts == [len(tokens_of(backbone, text)) for text in (query, item)]


def test_berts_logit_is_that_of_transformers_own_classifier(backbone_folder, backbone, tmp_path):
    student = build_any(StudentKind.BERT, backbone_folder)
    student.body.save_pretrained(tmp_path)
    reference = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    joint = backbone.tokenizer.encode("red lamp", "blue desk")

    with torch.no_grad():
        expected = reference(
            input_ids=torch.tensor([joint.ids]), token_type_ids=torch.tensor([joint.type_ids])
        ).logits.item()

    query, item = (
        pad(tokenise(backbone.tokenizer, [t], length=8)) for t in ("red lamp", "blue desk")
    )
    assert logit_of(student, PairTexts(query, item, ROW, ROW)) == pytest.approx(expected, abs=1e-5)


def test_the_template_is_read_off_the_tokenizer(backbone):
    assert pair_template(backbone.tokenizer) == PairTemplate((2,), (3,), (3,), (0, 0, 0, 1, 1))


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(BadInput, match="student: expected one of colbert"):
        student_kind("gpt")
    with pytest.raises(BadInput, match=r"heads: expected sizes below 16, got \(32,\)"):
        StudentShape(StudentKind.COLBERT, 16, 8, 12, heads=(32,))
    with pytest.raises(ValueError, match="rising numbers"):
        ReprBERT(torch.nn.Identity(), hidden=4, dim=2, layers=(2, 1))


def test_a_reprberts_layers_are_spread_over_its_depth():
    assert [interacting_layers(depth) for depth in (1, 2, 6, 12)] == [
        (1,),
        (1, 2),
        (2, 4, 6),
        (4, 8, 12),
    ]
