"""Token ids, their characters, and padded batches."""

import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relevance.text import normalise
from tests.trainer.make_students import make_text
from trainer.students.texts import pad, tokenise

texts = st.text(alphabet="abredmpsLAMP ÉéïÅ0-,.'½ß不锈", max_size=40).map(normalise)


def folded(text: str) -> str:
    """What the tokenizer's own normaliser makes of a few characters."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn").lower()


@given(st.lists(texts, min_size=1, max_size=4), st.integers(1, 12))
def test_a_text_is_cut_to_its_first_real_tokens_and_says_so(backbone, given_texts, length):
    found = tokenise(backbone.tokenizer, given_texts, length=length)

    for text, tokenised in zip(given_texts, found, strict=True):
        whole = backbone.tokenizer.encode(text, add_special_tokens=False)
        assert tokenised.ids == (2, *whole.ids[:length], 3)
        assert sum(tokenised.is_token) == len(tokenised.offsets) == min(length, len(whole.ids))
        assert tokenised.is_token[0] == tokenised.is_token[-1] is False
        assert tokenised.truncated == (len(whole.ids) > length)


@given(texts)
def test_offsets_point_to_each_tokens_own_characters(backbone, text):
    (found,) = tokenise(backbone.tokenizer, [text], length=64)

    ends = [0]
    real = [id for id, token in zip(found.ids, found.is_token, strict=True) if token]
    for (start, end), token_id in zip(found.offsets, real, strict=True):
        piece = backbone.tokenizer.id_to_token(token_id)
        assert ends[-1] <= start < end <= len(text)
        assert not any(c.isspace() for c in text[start:end])
        assert piece == "[UNK]" or folded(text[start:end]) == piece.removeprefix("##")
        ends.append(end)


def test_offsets_count_characters_and_not_bytes(backbone):
    (found,) = tokenise(backbone.tokenizer, ["不锈钢 Lamp é red"], length=16)

    text = "不锈钢 Lamp é red"
    assert [text[a:b] for a, b in found.offsets] == ["不", "锈", "钢", "Lamp", "é", "red"]


def test_special_tokens_that_a_shopper_types_are_text(backbone):
    (found,) = tokenise(backbone.tokenizer, ["red [SEP] [PAD] lamp"], length=16)

    real = [id for id, token in zip(found.ids, found.is_token, strict=True) if token]
    assert not {0, 2, 3} & set(real)
    assert found.offsets[1] == (4, 5)


def test_one_cut_does_not_outlast_its_call(backbone):
    (short,) = tokenise(backbone.tokenizer, ["red lamp desk shoe"], length=2)
    (whole,) = tokenise(backbone.tokenizer, ["red lamp desk shoe"], length=4)

    assert (len(short.offsets), len(whole.offsets)) == (2, 4)
    assert (short.truncated, whole.truncated) == (True, False)


def test_an_empty_text_has_specials_and_no_token(backbone):
    (found,) = tokenise(backbone.tokenizer, [""], length=4)

    assert (found.ids, found.is_token, found.offsets) == ((2, 3), (False, False), ())


@given(
    st.lists(st.lists(st.integers(5, 60), max_size=7), min_size=1, max_size=5), st.integers(0, 9)
)
def test_padding_keeps_every_text_and_marks_what_is_one(tokens, pad_id):
    given_texts = [make_text(*row) for row in tokens]

    batch = pad(given_texts, pad_id=pad_id)

    longest = max(len(row) for row in tokens) + 2
    assert (
        batch.ids.shape == batch.attention.shape == batch.is_token.shape == (len(tokens), longest)
    )
    for row, text in enumerate(given_texts):
        rest = longest - len(text.ids)
        assert batch.ids[row].tolist() == [*text.ids, *[pad_id] * rest]
        assert batch.attention[row].tolist() == [*(1 for _ in text.ids), *[0] * rest]
        assert batch.is_token[row].tolist() == [*text.is_token, *[False] * rest]


def test_padding_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="empty"):
        pad([])


def test_batches_are_what_the_encoder_takes():
    batch = pad([make_text(10)])

    assert (batch.ids.dtype, batch.attention.dtype) == (torch.long, torch.long)
    assert batch.is_token.dtype == torch.bool
