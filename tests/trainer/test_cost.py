"""What is counted and for whom; that time passes is not tested."""

import pytest

from tests.trainer.make_students import CATALOGUE, build_any, make_card, shop_pairs
from trainer.cost import measure_cost
from trainer.examples import TextLengths, tokenise_texts
from trainer.students.student import StudentKind


@pytest.mark.parametrize("kind", [StudentKind.COLBERT, StudentKind.POLY_ENCODER, StudentKind.BERT])
def test_parameters_are_counted_and_items_cached_where_they_can_be(kind, backbone, backbone_folder):
    pairs = shop_pairs()[:6]
    texts = tokenise_texts(
        backbone.tokenizer, pairs, CATALOGUE, TextLengths(8, 12, make_card().item_text)
    )
    student = build_any(kind, backbone_folder)

    found = measure_cost(student, pairs, texts, repeats=1)

    assert found.parameters == sum(p.numel() for p in student.parameters())
    assert (found.cached_ms is None) == (kind is StudentKind.BERT)
    assert found.ms > 0
    assert found.device == "cpu"
