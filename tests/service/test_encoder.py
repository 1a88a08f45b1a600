import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from relevance.bundle import ENCODER, TOKENIZER, BundleManifest
from relevance.errors import BadBundle
from relevance.text import normalise
from service.encoder import OnnxTokenEncoder, TokenEncoder, read_tokenizer
from service.fakes import WordEncoder
from tests.service.conftest import UNHURRIED

DIM = 16
TEXTS = st.text(max_size=40) | st.text("abcdefgh [SEP]", max_size=40)


@pytest.fixture(scope="module")
def encoder(bundle_folder, bundle) -> OnnxTokenEncoder:
    return OnnxTokenEncoder.read(bundle_folder, bundle)


@UNHURRIED
@given(text=TEXTS, limit=st.integers(1, 12), fake=st.booleans())
def test_every_encoder_keeps_the_contract(encoder, text, limit, fake) -> None:
    door: TokenEncoder = WordEncoder(DIM) if fake else encoder

    tokens = door.encode(text, limit=limit)
    located = door.tokenise(text, limit=limit)

    assert tokens.vectors.shape == (len(tokens.offsets), DIM)
    assert tokens.vectors.dtype == np.float32
    assert len(tokens.offsets) <= limit
    assert not tokens.truncated or len(tokens.offsets) == limit
    assert np.allclose(np.linalg.norm(tokens.vectors, axis=1), 1, atol=1e-5)
    assert all(0 <= start <= end <= len(normalise(text)) for start, end in tokens.offsets)
    assert (located.offsets, located.truncated) == (tokens.offsets, tokens.truncated)
    assert tokens.vectors.tobytes() == door.encode(text, limit=limit).vectors.tobytes()


def test_the_encoder_agrees_with_the_graph_run_by_onnx_itself(encoder, bundle_folder) -> None:
    tokenizer = read_tokenizer(bundle_folder / TOKENIZER)
    ids = np.array([tokenizer.encode("red water bottle").ids], np.int64)
    oracle = ReferenceEvaluator(str(bundle_folder / ENCODER))

    tokens = encoder.encode("red water bottle", limit=8)

    (expected,) = oracle.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert np.allclose(tokens.vectors, expected[0, 1:-1], atol=1e-6)


def test_the_limit_counts_real_tokens_and_a_cut_text_keeps_its_last_special_token(encoder) -> None:
    cut = encoder.encode("red water bottle", limit=2)

    assert cut.truncated
    assert np.array_equal(cut.vectors, encoder.encode("red water", limit=2).vectors)


def test_offsets_count_characters_of_the_normalised_text(encoder) -> None:
    text = "  Ｒed\u200b   \U0001f600 water"

    offsets = encoder.encode(text, limit=8).offsets

    assert [normalise(text)[start:end] for start, end in offsets] == ["Red", "\U0001f600", "water"]


def test_special_tokens_typed_by_a_shopper_are_text(encoder) -> None:
    assert len(encoder.tokenise("[SEP]", limit=8).offsets) == 5  # [ s e p ]


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "\u0301"])
def test_a_text_without_a_token_has_no_embeddings(encoder, text) -> None:
    assert encoder.encode(text, limit=8).vectors.shape == (0, DIM)


def test_an_encoder_of_other_dimensions_is_refused(bundle_folder, bundle: BundleManifest) -> None:
    other = bundle.model_copy(update={"dim": 8})

    with pytest.raises(BadBundle, match="expected embeddings of 8 dimensions, got 16"):
        OnnxTokenEncoder.read(bundle_folder, other)


def test_a_tokenizer_that_is_none_is_refused(tmp_path) -> None:
    (tmp_path / TOKENIZER).write_text("{}")

    with pytest.raises(BadBundle, match="not readable as a fast tokenizer"):
        read_tokenizer(tmp_path / TOKENIZER)
