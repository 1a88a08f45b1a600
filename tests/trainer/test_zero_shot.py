"""The pretrained encoder as it comes, against the encoder called text by text."""

import numpy as np
import pytest
import torch

from tests.trainer.make_students import TITLES, tokens_of
from trainer.zero_shot import BATCH_TEXTS, encode_zero_shot

ROUNDING = 0.02  # bfloat16 keeps eight bits


def hidden_by_itself(backbone, text: str) -> torch.Tensor:
    ids = torch.tensor([backbone.tokenizer.encode(text).ids])
    with torch.no_grad():
        return backbone.encoder(input_ids=ids).last_hidden_state[0]


def test_texts_get_the_mean_of_all_positions_and_each_real_tokens_direction(backbone):
    texts = [TITLES[at % len(TITLES)] + " steel" * (at % 4) for at in range(BATCH_TEXTS + 6)]

    found = encode_zero_shot(backbone, texts, length=16, what="texts")

    assert found.pooled.dtype == np.float32
    for at, text in enumerate(texts[:8]):
        hidden = hidden_by_itself(backbone, text)
        pooled = torch.nn.functional.normalize(hidden.mean(dim=0), dim=0).numpy()
        tokens = torch.nn.functional.normalize(hidden[1:-1], dim=-1).numpy()
        assert found.pooled[at] == pytest.approx(pooled, abs=ROUNDING)
        assert found.tokens[at].float().numpy() == pytest.approx(tokens, abs=ROUNDING)


def test_texts_are_cut_and_an_empty_one_is_a_zero_vector_without_tokens(backbone):
    texts = ["", "red lamp desk shoe"]

    found = encode_zero_shot(backbone, texts, length=3, what="texts")

    assert [len(rows) for rows in found.tokens] == [0, 3]
    assert len(tokens_of(backbone, texts[1])) == 4
    assert np.linalg.norm(found.pooled, axis=1) == pytest.approx([0, 1], abs=1e-5)
