"""Scores through a bundle's graphs against NumPy alone, from the encoder's embeddings on."""

import numpy as np
import pytest

from exporter.bundle_scoring import (
    EncodedPairs,
    EncodedText,
    Lengths,
    RowFormat,
    encode_pairs,
    encoder_of,
    integer_similarities,
)
from relevance.bundle import ENCODER, TOKENIZER
from relevance.item_rows import RowCodec, pooled_tokens
from relevance.late_interaction import integer_maxima, mean_maxsim, quantise_item, quantise_query
from tests.trainer.make_students import TITLES
from trainer.students.embedding import embed_texts
from trainer.students.texts import tokenise

PAIRS = [(query, item) for query in TITLES[::4] for item in TITLES]
LENGTHS = Lengths(query=8, item=12)


@pytest.fixture(scope="module")
def encoded(exported) -> EncodedPairs:
    return encode_pairs(exported.folder, PAIRS, lengths=LENGTHS)


def make_encode(folder, length):
    return encoder_of(folder / ENCODER, length, tokenizer=folder / TOKENIZER)


def similarity_by_numpy(query: EncodedText, item: EncodedText, shape: RowFormat) -> float:
    scale = shape.scale
    quantised = quantise_query(query.vectors)
    rows = quantise_item(item.vectors, scale=scale, rows=shape.rows)
    (maxima,) = integer_maxima(quantised.steps, rows[None])
    total = 0.0
    for best, step in zip(maxima.tolist(), quantised.scales.tolist(), strict=True):
        total += best * (step * scale) / len(maxima)
    return total


def test_an_encoder_gives_the_students_real_tokens_cut_to_their_length(exported, checkpoint):
    texts = ["red lamp", "a [SEP]", "steel water bottle, 24 oz", "Ｌamp", "é", *TITLES[:3]]

    encode = make_encode(exported.folder, 5)

    tokenised = tokenise(checkpoint.tokenizer, texts, length=5)
    for text, rows in zip(texts, embed_texts(checkpoint.student, tokenised), strict=True):
        assert encode(text).vectors.shape == rows.shape
        assert encode(text).vectors == pytest.approx(rows.numpy(), abs=1e-5)
        assert len(rows) <= 5


def test_each_token_comes_with_the_characters_it_reads(exported):
    found = make_encode(exported.folder, 20)("red lamp, 24 oz")

    assert found.pieces[:2] == ("red", "lamp")
    assert "".join(found.pieces) == "redlamp,24oz"
    assert len(found) == len(found.vectors)


def test_a_text_without_tokens_has_no_row(exported, checkpoint):
    assert make_encode(exported.folder, 5)("").vectors.shape == (0, checkpoint.card.dim)


def test_each_distinct_text_is_encoded_once_and_queries_and_items_to_their_own_length(
    exported,
):
    long = "red blue green black white lamp shoe desk chair bottle jacket"
    pairs = [(long, long), (long, "red lamp"), ("red lamp", long)]

    found = encode_pairs(exported.folder, pairs, lengths=Lengths(query=3, item=9))

    assert list(found.queries) == list(found.items) == [long, "red lamp"]
    assert [len(rows) for rows in found.queries.values()] == [3, 2]
    assert [len(rows) for rows in found.items.values()] == [9, 2]
    assert found.pairs == tuple(pairs)


def test_similarities_are_those_of_numpy_alone_to_the_last_bit(exported, encoded):
    shape = RowFormat.of(exported.manifest)

    found = integer_similarities(exported.folder, encoded, shape)

    expected = [similarity_by_numpy(encoded.queries[q], encoded.items[i], shape) for q, i in PAIRS]
    assert found.tobytes() == np.array(expected).tobytes()


def test_similarities_are_near_the_float_definition(exported, encoded):
    found = integer_similarities(exported.folder, encoded, RowFormat.of(exported.manifest))

    exact = [
        mean_maxsim(
            encoded.queries[q].vectors,
            encoded.items[i].vectors,
            np.ones(len(encoded.items[i]), bool),
        )
        for q, i in PAIRS
    ]
    assert found == pytest.approx(np.array(exact), abs=0.02)


def test_a_pair_alone_has_the_same_bits_as_in_company_and_in_any_order(exported, encoded):
    def scored(pairs):
        chosen = EncodedPairs(
            {query: encoded.queries[query] for query, _ in pairs},
            {item: encoded.items[item] for _, item in pairs},
            pairs,
        )
        return integer_similarities(exported.folder, chosen, RowFormat.of(exported.manifest))

    together = scored(PAIRS)

    order = np.random.default_rng(0).permutation(len(PAIRS))
    assert scored([PAIRS[at] for at in order]).tobytes() == together[order].tobytes()
    for at in range(0, len(PAIRS), 23):
        assert scored([PAIRS[at]]).tobytes() == together[at : at + 1].tobytes()


def test_a_pair_with_a_silent_side_has_no_similarity_and_hinders_no_other(exported):
    pairs = [("red lamp", ""), ("", "red lamp"), ("red lamp", "red lamp")]
    encoded = encode_pairs(exported.folder, pairs, lengths=LENGTHS)

    found = integer_similarities(exported.folder, encoded, RowFormat.of(exported.manifest))

    assert np.isnan(found).tolist() == [True, True, False]
    assert found[2] == pytest.approx(1, abs=0.02)


def test_pooled_rows_without_punctuation_score_as_their_definition(exported):
    pairs = [(query, f"{item}, {other}!") for query in TITLES[:4] for item in TITLES[::6]
             for other in TITLES[::7]]  # fmt: skip
    encoded = encode_pairs(exported.folder, pairs, lengths=LENGTHS)
    codec = RowCodec(pooling=2, skip_punctuation=True)
    shape = RowFormat(codec, exported.manifest.item_scale, codec.rows(12))

    found = integer_similarities(exported.folder, encoded, shape)

    rows = {t: pooled_tokens(e.vectors, e.pieces, codec=codec) for t, e in encoded.items.items()}
    exact = [
        mean_maxsim(encoded.queries[q].vectors, rows[i], np.ones(len(rows[i]), bool))
        for q, i in pairs
    ]
    assert found == pytest.approx(np.array(exact), abs=0.02)
    plain = integer_similarities(exported.folder, encoded, RowFormat.of(exported.manifest))
    assert np.abs(found - plain).max() > 0.02
