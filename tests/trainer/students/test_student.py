"""What holds for every student: padding and company never matter, and a checkpoint is the student.

What each computes stands in its own test file.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from relevance.domain import Side
from tests.trainer.make_students import CATALOGUE, build_any, make_card, make_text, shop_pairs
from trainer.examples import TextLengths, tokenise_texts
from trainer.scoring import score_pairs
from trainer.students.backbone import read_backbone
from trainer.students.checkpoint import Checkpoint, read_student, write_checkpoint
from trainer.students.devices import device_of, moved
from trainer.students.student import PairTexts, RepresentationStudent, StudentKind
from trainer.students.texts import pad

QUERIES = [make_text(10, 11), make_text(*range(20, 27)), make_text(15)]
ITEMS = [make_text(12, 13, 14), make_text(*range(30, 42)), make_text(40), make_text(12, 50)]
PAIRS = [(0, 0), (0, 1), (1, 1), (2, 3), (2, 2), (1, 0)]


@pytest.fixture(scope="module", params=list(StudentKind))
def student(request, backbone_folder):
    return build_any(request.param, backbone_folder)


def pair_texts(pairs=PAIRS) -> PairTexts:
    return PairTexts(pad(QUERIES), pad(ITEMS), *torch.tensor(pairs).T)


def alone(query: int, item: int) -> PairTexts:
    row = torch.tensor([0])
    return PairTexts(pad([QUERIES[query]]), pad([ITEMS[item]]), row, row)


@torch.no_grad()
def logits_of(student, texts: PairTexts) -> torch.Tensor:
    return student.judge(texts, evidence=False).logits


def test_a_pairs_logit_does_not_depend_on_its_company(student):
    together = logits_of(student, pair_texts())

    for at, (query, item) in enumerate(PAIRS):
        found = logits_of(student, alone(query, item))
        torch.testing.assert_close(found[0], together[at], rtol=0, atol=1e-4)


def test_logits_differ_between_pairs_and_asking_for_evidence_changes_none(student):
    found = logits_of(student, pair_texts())

    with torch.no_grad():
        judged = student.judge(pair_texts(), evidence=True)

    assert found.unique().numel() == len(PAIRS)
    torch.testing.assert_close(judged.logits, found, rtol=0, atol=1e-6)
    if isinstance(student, RepresentationStudent):
        assert judged.cosines.shape == (len(PAIRS), pad(QUERIES).ids.shape[1], 14)
        assert judged.cosines.abs().max() <= 1 + 1e-5
    else:
        assert judged.query_states.is_token.sum(dim=1).tolist() == [
            len(QUERIES[query].offsets) for query, _ in PAIRS
        ]


@pytest.mark.parametrize("kind", [kind for kind in StudentKind if kind is not StudentKind.BERT])
def test_texts_encoded_before_anyone_asked_give_the_same_logits(kind, backbone_folder):
    student = build_any(kind, backbone_folder)

    with torch.no_grad():
        queries, items = (
            student.encode(pad(QUERIES), Side.QUERY),
            student.encode(pad(ITEMS), Side.TITLE),
        )
        texts = pair_texts()
        found = student.meet(queries.at(texts.query_rows), items.at(texts.item_rows))

    torch.testing.assert_close(found, logits_of(student, texts), rtol=0, atol=1e-5)


def test_every_parameter_that_scores_gets_a_gradient(student):
    student.zero_grad()
    judged = student.judge(pair_texts(), evidence=False)
    torch.stack([judged.logits, *judged.nested]).square().sum().backward()

    without = {n for n, p in student.named_parameters() if p.grad is None or not p.grad.any()}
    assert all("tagger" in name or "token_type" in name or "key.bias" in name for name in without)


def test_starting_is_repeatable_and_centres_the_logits_of_representation_students(student):
    one, other = (copy.deepcopy(student) for _ in range(2))

    for each in (one, other):
        each.start(pair_texts(), pad(ITEMS * 8))

    assert all(torch.equal(t, other.state_dict()[n]) for n, t in one.state_dict().items())
    if student.kind in (StudentKind.COLBERT, StudentKind.SENTENCE_BERT, StudentKind.POLY_ENCODER):
        logits = logits_of(one, pair_texts())
        assert (logits <= 1e-4).sum() >= len(PAIRS) / 2
        assert (logits >= -1e-4).sum() >= len(PAIRS) / 2


def test_a_checkpoint_of_any_student_scores_the_same_bits(student, backbone_folder, tmp_path):
    tokenizer = read_backbone(str(backbone_folder)).tokenizer
    card = make_card().model_copy(
        update={
            "student": student.kind,
            "heads": getattr(student, "heads", ()) or (),
            "codes": 3 if student.kind is StudentKind.POLY_ENCODER else 0,
        }
    )

    write_checkpoint(tmp_path / "student", Checkpoint(student, tokenizer, card))
    found = read_student(tmp_path / "student")

    assert found.card == card
    assert type(found.student) is type(student)
    assert torch.equal(logits_of(found.student, pair_texts()), logits_of(student, pair_texts()))


def test_scoring_many_pairs_gives_each_its_own_logit(student, backbone, monkeypatch):
    pairs = shop_pairs()[::29]
    lengths = TextLengths(8, 12, make_card().item_text)
    texts = tokenise_texts(backbone.tokenizer, pairs, CATALOGUE, lengths)

    found = score_pairs(student, pairs, texts)

    row = torch.tensor([0])
    for pair, logit in list(zip(pairs, found, strict=True))[::7]:
        both = PairTexts(
            pad([texts.queries[pair.query]]), pad([texts.items[pair.item_id]]), row, row
        )
        assert logit == pytest.approx(logits_of(student, both).item(), abs=0.1)  # bfloat16


def test_values_that_stay_on_the_processor_are_not_copied(student):
    texts = pair_texts()

    assert device_of(student) == torch.device("cpu")
    assert moved(texts, torch.device("cpu")) is texts
    on_meta = moved(replace(texts), torch.device("meta"))
    assert on_meta.queries.ids.device.type == on_meta.item_rows.device.type == "meta"
    assert np.array_equal(on_meta.items.ids.shape, texts.items.ids.shape)
