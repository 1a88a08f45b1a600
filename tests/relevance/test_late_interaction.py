"""MaxSim against loops, the integer variant against exact integers, quantisation against bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relevance.late_interaction import (
    FOUR_BIT_LIMIT,
    ITEM_LIMIT,
    ITEM_ZERO_POINT,
    QUERY_LIMIT,
    integer_maxima,
    item_steps,
    mean_maxsim,
    quantise_item,
    quantise_query,
    sigmoid,
    token_contributions,
)


def make_tokens(seed: int, tokens: int = 5, dim: int = 8) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(tokens, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def maxsim_by_loops(query, item, is_token):
    best = [
        max(sum(float(a) * float(b) for a, b in zip(q, i, strict=True)) for i in item[is_token])
        for q in query
    ]
    return sum(best) / len(best)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.data())
def test_mean_maxsim_agrees_with_loops(seed, query_tokens, item_tokens, data):
    query, item = make_tokens(seed, query_tokens), make_tokens(seed + 1, item_tokens)
    is_token = np.array(
        data.draw(st.lists(st.booleans(), min_size=item_tokens, max_size=item_tokens))
    )
    is_token[data.draw(st.integers(0, item_tokens - 1))] = True

    assert mean_maxsim(query, item, is_token) == pytest.approx(
        maxsim_by_loops(query, item, is_token), abs=1e-12
    )


def test_an_item_that_holds_the_query_scores_one():
    tokens = make_tokens(0)

    assert mean_maxsim(tokens, tokens, np.ones(5, dtype=bool)) == pytest.approx(1, abs=1e-6)


def test_what_is_no_token_cannot_be_the_best():
    query, item = make_tokens(1), np.concatenate([make_tokens(2), make_tokens(1)])

    padded = mean_maxsim(query, item, np.arange(10) < 5)

    assert padded == mean_maxsim(query, make_tokens(2), np.ones(5, dtype=bool))


@pytest.mark.parametrize(("query_tokens", "real"), [(0, True), (3, False)])
def test_a_side_without_a_token_has_no_score(query_tokens, real):
    with pytest.raises(ValueError, match="at least one token on each side"):
        mean_maxsim(make_tokens(0, query_tokens), make_tokens(1), np.full(5, real))


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-1e3, 1e3, width=32),
    )
)
def test_a_query_is_quantised_to_within_half_a_step(tokens):
    query = quantise_query(tokens)

    error = np.abs(query.steps * query.scales[:, None].astype(np.float64) - tokens)

    assert np.abs(query.steps.astype(int)).max() <= QUERY_LIMIT
    assert (error <= query.scales[:, None] * 0.50001 + 1e-40).all()  # float32 ends there


def test_a_zero_vector_and_no_token_are_quantised_too():
    assert quantise_query(np.zeros((1, 3), np.float32)).scales.tolist() == [1]
    assert quantise_query(np.full((1, 3), 1e-45, np.float32)).scales.tolist() == [1]
    assert quantise_query(np.zeros((0, 3), np.float32)).steps.shape == (0, 3)


@given(st.integers(0, 10**6), st.floats(0.002, 0.02))
def test_an_item_is_quantised_to_within_half_a_scale_inside_the_clip(seed, scale):
    tokens = make_tokens(seed)

    steps = quantise_item(tokens, scale=scale, rows=5).astype(int) - ITEM_ZERO_POINT

    clipped = np.clip(tokens, -ITEM_LIMIT * scale, ITEM_LIMIT * scale)
    assert np.abs(steps).max() <= ITEM_LIMIT
    assert np.abs(steps * scale - clipped).max() <= scale * 0.501


@given(st.integers(0, 10**6), st.floats(0.02, 0.2))
def test_four_bits_are_the_nearest_odd_steps_inside_the_clip(seed, scale):
    tokens = make_tokens(seed)

    rows = quantise_item(tokens, scale=scale, rows=5, bits=4)
    steps = item_steps(rows, bits=4)

    clipped = np.clip(tokens, -FOUR_BIT_LIMIT * scale, FOUR_BIT_LIMIT * scale)
    assert rows.shape == (len(tokens), tokens.shape[1] // 2)
    assert set(np.unique(steps)) <= set(range(-15, 16, 2))
    assert np.abs(steps * scale - clipped).max() <= scale * 1.001


@given(hnp.arrays(np.uint8, (3, 2, 4)))
def test_every_byte_is_two_dimensions_half_a_row_apart(rows):
    steps = item_steps(rows, bits=4)

    for place, byte in np.ndenumerate(rows):
        low, high = 2 * (int(byte) % 16) - 15, 2 * (int(byte) // 16) - 15
        assert (steps[place], steps[place[0], place[1], place[2] + 4]) == (low, high)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(0, 8), st.sampled_from([8, 4]))
def test_repeating_the_first_token_leaves_every_maximum_unchanged(seed, tokens, padding, bits):
    query, item = quantise_query(make_tokens(seed)).steps, make_tokens(seed + 1, tokens)
    exact, padded = (
        quantise_item(item, scale=1 / 127, rows=rows, bits=bits)
        for rows in (tokens, tokens + padding)
    )

    found = [integer_maxima(query, rows[None], bits=bits) for rows in (exact, padded)]

    assert np.array_equal(*found)


@pytest.mark.parametrize("tokens", [0, 4])
def test_an_item_has_one_token_to_as_many_as_there_are_rows(tokens):
    with pytest.raises(ValueError, match=f"expected 1 to 3, got {tokens}"):
        quantise_item(make_tokens(0, tokens), scale=1 / 127, rows=3)


@pytest.mark.parametrize("step", [-QUERY_LIMIT, QUERY_LIMIT])
@pytest.mark.parametrize("byte", [0, 1, 255])
def test_integer_maxima_are_exact_at_the_extremes(step, byte):
    query, items = np.full((2, 1024), step, np.int8), np.full((3, 4, 1024), byte, np.uint8)

    assert (integer_maxima(query, items) == 1024 * step * (byte - ITEM_ZERO_POINT)).all()


@given(
    hnp.arrays(np.int8, (3, 4), elements=st.integers(-QUERY_LIMIT, QUERY_LIMIT)),
    hnp.arrays(np.uint8, (2, 5, 4)),
)
def test_integer_maxima_agree_with_pythons_integers(query, items):
    expected = [
        [
            max(sum(a * (b - ITEM_ZERO_POINT) for a, b in zip(q, row, strict=True)) for row in item)
            for q in query.tolist()
        ]
        for item in items.tolist()
    ]

    assert integer_maxima(query, items).tolist() == expected


@given(st.integers(0, 10**6))
def test_contributions_add_up_to_the_scaled_cosine_within_the_quantisation_error(seed):
    query, item = make_tokens(seed), make_tokens(seed + 1)
    scale = float(np.abs(item).max() / ITEM_LIMIT)
    quantised = quantise_query(query)
    maxima = integer_maxima(quantised.steps, quantise_item(item, scale=scale, rows=7)[None])

    contributions = token_contributions(maxima, quantised.scales, item_scale=scale, weight=12)

    # |error| ≤ Σ |q|·½s_i + |i|·½s_q + ¼ s_q s_i, with Σ|x| ≤ √dim for unit x
    per_token = np.sqrt(8) * (scale + quantised.scales) / 2 + 8 * scale * quantised.scales / 4
    exact = 12 * mean_maxsim(query, item, np.ones(5, dtype=bool))
    assert contributions.shape == (1, 5)
    assert contributions.dtype == np.float64
    assert abs(contributions.sum() - exact) <= 12 * per_token.mean() + 1e-6


@given(hnp.arrays(np.float64, 5, elements=st.floats(-1e308, 1e308)))
def test_sigmoid_is_a_rising_share_that_never_overflows(logits):
    found = sigmoid(np.sort(logits))

    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()
    assert sigmoid(-logits) == pytest.approx(1 - sigmoid(logits))


def test_sigmoid_of_zero_is_one_half():
    assert sigmoid(np.array([0.0, np.log(3)])).tolist() == pytest.approx([0.5, 0.75])
