"""Embedding many texts: their order, their real tokens, and no text too many."""

import pytest
import torch

from tests.trainer.make_students import make_student, make_text
from trainer.students.embedding import BATCH_TEXTS, embed_texts
from trainer.students.texts import pad


@pytest.fixture(scope="module")
def student(backbone_folder):
    return make_student(backbone_folder)


def test_every_text_gets_the_rows_it_has_alone_in_the_order_given(student):
    texts = [make_text(*range(10, 10 + 1 + at % 7)) for at in range(BATCH_TEXTS + 10)]

    found = embed_texts(student, texts)

    alone = {}
    for text in texts[:7]:
        batch = pad([text])
        with torch.no_grad():
            alone[text.ids] = student.embed(batch)[0][batch.is_token[0]]
    for text, rows in zip(texts, found, strict=True):
        torch.testing.assert_close(rows, alone[text.ids], rtol=0, atol=1e-6)


def test_a_text_without_tokens_gets_no_row_and_no_text_no_work(student):
    (found,) = embed_texts(student, [make_text()])

    assert found.shape == (0, 16)
    assert embed_texts(student, []) == []
