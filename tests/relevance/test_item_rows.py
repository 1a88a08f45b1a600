"""Items to rows: pooling against scipy's Ward linkage, punctuation, what is kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from relevance.errors import BadInput
from relevance.item_rows import RowCodec, item_rows, kept_tokens, pool, pooled_tokens, row_members
from relevance.late_interaction import integer_maxima, mean_maxsim, quantise_item

tokens_of = st.tuples(st.integers(0, 10**6), st.integers(1, 24), st.integers(2, 12))


def make_tokens(seed: int, count: int, dim: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def spread(tokens: np.ndarray, groups) -> float:
    """The squared distances from group means: what Ward's criterion keeps small."""
    return sum(float(((tokens[list(g)] - tokens[list(g)].mean(axis=0)) ** 2).sum()) for g in groups)


@settings(max_examples=60)
@given(tokens_of, st.integers(2, 5))
def test_groups_are_those_of_scipys_ward_linkage(shape, factor):
    tokens = make_tokens(*shape).astype(np.float64)

    found = pool(tokens, factor=factor)

    wanted = -(-len(tokens) // factor)
    assert len(found) == wanted
    assert sorted(at for group in found for at in group) == list(range(len(tokens)))
    if len(tokens) > 1:
        labels = fcluster(linkage(tokens, "ward"), wanted, criterion="maxclust")
        theirs = [tuple(np.flatnonzero(labels == label)) for label in np.unique(labels)]
        assert spread(tokens, found) == pytest.approx(spread(tokens, theirs), rel=1e-6, abs=1e-9)


def test_equal_tokens_are_pooled_first():
    tokens = make_tokens(0, 3, 8)[[0, 1, 0, 2, 1]]

    assert pool(tokens, factor=2) == ((0, 2), (1, 4), (3,))


@given(tokens_of)
def test_without_pooling_rows_are_the_quantised_tokens_bit_for_bit(shape):
    tokens = make_tokens(*shape)

    found = item_rows(tokens, ["x"] * len(tokens), codec=RowCodec(), scale=0.01, rows=24)

    assert np.array_equal(found.values, quantise_item(tokens, scale=0.01, rows=24))
    assert found.members == tuple((at,) for at in range(len(tokens)))


@given(tokens_of, st.integers(1, 4))
def test_float_rows_have_unit_length_and_lie_between_their_tokens(shape, pooling):
    tokens = make_tokens(*shape)
    codec = RowCodec(pooling=pooling)

    rows = pooled_tokens(tokens, ["x"] * len(tokens), codec=codec)

    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    for row, group in zip(rows, row_members(tokens, ["x"] * len(tokens), codec=codec), strict=True):
        assert (tokens[list(group)] @ row).mean() >= (tokens @ row).mean() - 1e-6
        if len(group) == 1:
            assert np.array_equal(row, tokens[group[0]])


def test_the_same_tokens_give_the_same_rows_each_time():
    tokens = make_tokens(7, 30, 64)
    codec = RowCodec(pooling=3)

    one, other = (
        item_rows(tokens.copy(), ["x"] * 30, codec=codec, scale=0.004, rows=11) for _ in range(2)
    )

    assert one.values.tobytes() == other.values.tobytes()
    assert one.values.shape == (11, 64)
    assert len(one.members) == 10


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        (["red", ",", "lamp", "-", "(", "2", ")"], [0, 2, 5]),
        (["c", "++", "24oz", "a-b"], [0, 2, 3]),
        (["!", "?"], [0, 1]),
        (["。", "™", "红"], [0, 1, 2]),
        ([], []),
    ],
)
def test_ascii_punctuation_takes_no_row_unless_there_is_nothing_else(pieces, kept):
    assert kept_tokens(pieces, RowCodec(skip_punctuation=True)) == kept
    assert kept_tokens(pieces, RowCodec()) == list(range(len(pieces)))


def test_skipping_and_pooling_name_tokens_by_their_place_in_the_text():
    tokens = make_tokens(0, 2, 8)[[0, 1, 0, 1, 0]]
    codec = RowCodec(pooling=2, skip_punctuation=True)

    found = item_rows(tokens, ["a", ",", "b", "c", "d"], codec=codec, scale=0.01, rows=3)

    assert found.members == ((0, 2, 4), (3,))


def test_repeated_rows_leave_every_maximum_as_it_is():
    tokens = make_tokens(3, 5, 16)
    codec = RowCodec(pooling=2)
    query = np.random.default_rng(0).integers(-64, 65, (4, 16), dtype=np.int8)

    low, high = (
        item_rows(tokens, ["x"] * 5, codec=codec, scale=0.005, rows=rows).values for rows in (3, 9)
    )

    assert np.array_equal(integer_maxima(query, low[None]), integer_maxima(query, high[None]))


def test_pooling_keeps_most_of_a_score():
    random = np.random.default_rng(0)
    centres = make_tokens(1, 6, 64)
    tokens = centres[random.integers(0, 6, 24)] + 0.05 * random.normal(size=(24, 64))
    tokens = (tokens / np.linalg.norm(tokens, axis=1, keepdims=True)).astype(np.float32)
    query = centres[:3]

    exact = mean_maxsim(query, tokens, np.ones(24, bool))
    rows = pooled_tokens(tokens, ["x"] * 24, codec=RowCodec(pooling=2))

    assert mean_maxsim(query, rows, np.ones(len(rows), bool)) == pytest.approx(exact, abs=0.08)


def test_an_item_without_a_token_has_no_rows_and_cannot_be_quantised():
    nothing = np.empty((0, 8), np.float32)

    assert pooled_tokens(nothing, [], codec=RowCodec(pooling=2)).shape == (0, 8)
    with pytest.raises(ValueError, match="expected 1 to 4, got 0"):
        item_rows(nothing, [], codec=RowCodec(), scale=0.01, rows=4)


def test_rows_and_bytes_of_an_item():
    assert [RowCodec(pooling=p).rows(32) for p in (1, 2, 3)] == [32, 16, 11]
    assert RowCodec().row_bytes(96) == 96
    assert RowCodec(bits=4).row_bytes(96) == 48


def test_half_a_byte_of_a_row_is_refused():
    with pytest.raises(BadInput, match="dim: expected an even number for 4-bit rows, got 33"):
        RowCodec(bits=4).row_bytes(33)
