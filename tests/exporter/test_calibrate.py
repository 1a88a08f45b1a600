"""The items' scale by sorting, the logit's weight and bias against scikit-learn and its optimum."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression

from exporter.calibrate import fit_calibration, item_scale
from relevance.errors import BadInput, GateRefused
from relevance.late_interaction import sigmoid


def make_sample(seed: int, pairs: int, *, weight: float = 14.0, bias: float = -9.0):
    random = np.random.default_rng(seed)
    similarities = random.uniform(0.2, 1.0, pairs)
    return similarities, random.random(pairs) < sigmoid(weight * similarities + bias)


def fitted(similarities, good):
    try:
        return fit_calibration(similarities, good)
    except GateRefused:
        assume(False)


@pytest.mark.parametrize("weight", [2.0, 14.0, 40.0])
def test_on_many_pairs_it_is_scikit_learns_regression_without_regularisation(weight):
    similarities, good = make_sample(0, 30_000, weight=weight, bias=-0.6 * weight)

    found = fit_calibration(similarities, good)

    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    theirs.fit(similarities[:, None], good)
    assert found.weight == pytest.approx(theirs.coef_.item(), rel=0.01)
    assert found.bias == pytest.approx(theirs.intercept_.item(), rel=0.01)
    assert found.weight == pytest.approx(weight, rel=0.1)


@given(st.integers(0, 10**6), st.integers(2, 300), st.floats(0, 30))
def test_at_its_solution_the_smoothed_loss_is_flat(seed, pairs, weight):
    similarities, good = make_sample(seed, pairs, weight=weight, bias=-0.6 * weight)
    found = fitted(similarities, good)

    positives, negatives = good.sum(), (~good).sum()
    targets = np.where(good, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    excess = sigmoid(found.weight * similarities + found.bias) - targets
    standardised = (similarities - similarities.mean()) / similarities.std()
    assert excess.sum() == pytest.approx(0, abs=1e-6 * pairs)
    assert (excess * standardised).sum() == pytest.approx(0, abs=1e-6 * pairs)


@given(
    st.integers(0, 10**6),
    st.sampled_from(["cauchy", "cube", "clumped"]),
    st.floats(0.005, 0.995),
)
def test_outliers_and_rare_labels_do_not_make_newton_run_away(seed, kind, share_good):
    random = np.random.default_rng(seed)
    similarities = {
        "cauchy": lambda: random.standard_cauchy(200),
        "cube": lambda: random.exponential(size=200) ** 3,
        "clumped": lambda: np.where(random.random(200) < 0.02, 50.0, random.normal(size=200)),
    }[kind]()
    found = fitted(similarities, random.random(200) < share_good)

    assert np.isfinite([found.weight, found.bias]).all()


@pytest.mark.parametrize("pairs", [2, 20, 2000])
def test_a_separable_sample_stays_finite(pairs):
    similarities = np.linspace(0, 1, pairs)
    good = similarities > 0.5

    found = fit_calibration(similarities, good)

    probabilities = sigmoid(found.weight * similarities + found.bias)
    assert 0 < found.weight < 1e4
    assert ((probabilities > 0.5) == good).all()
    assert probabilities.mean() == pytest.approx(0.5, abs=1e-6)


@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-5, 5))
def test_another_scale_of_the_similarity_gives_the_same_logits(seed, scale, shift):
    similarities, good = make_sample(seed, 200)
    one, other = fitted(similarities, good), fitted(scale * similarities + shift, good)

    expected = one.weight * similarities + one.bias
    found = other.weight * (scale * similarities + shift) + other.bias
    assert found == pytest.approx(expected, abs=1e-6)


def test_more_similar_bad_pairs_are_refused_with_the_slope_and_the_counts():
    similarities, good = make_sample(0, 400)

    with pytest.raises(GateRefused, match=rf"slope of -\d+\.\d+ over {(~good).sum()} Good"):
        fit_calibration(similarities, ~good)


def test_similarities_that_say_nothing_are_refused():
    with pytest.raises(GateRefused, match=r"slope of -?0\.000"):
        fit_calibration(np.full(40, 0.7), np.arange(40) % 2 == 0)


@given(
    st.lists(
        hnp.arrays(
            np.float32,
            st.tuples(st.integers(0, 5), st.just(3)),
            elements=st.floats(-2, 2, width=32),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([(8, 127, 0.9999), (4, 15, 0.997)]),
)
def test_the_scale_is_that_of_the_largest_magnitude_but_a_few(embeddings, steps):
    bits, most, kept = steps
    magnitudes = sorted(abs(float(v)) for rows in embeddings for v in rows.ravel())
    assume(magnitudes)

    found = item_scale(embeddings, bits=bits) * most

    place = kept * (len(magnitudes) - 1)
    below, above = magnitudes[int(place)], magnitudes[min(int(place) + 1, len(magnitudes) - 1)]
    assert found == pytest.approx(below + (place - int(place)) * (above - below), abs=1e-6)


def test_one_wild_value_in_many_does_not_coarsen_the_steps():
    values = np.random.default_rng(0).normal(0, 0.1, (500, 128)).astype(np.float32)
    calm = item_scale([values])

    values[0, 0] = 50

    assert item_scale([values]) == pytest.approx(calm, rel=0.1)


def test_items_without_any_token_have_no_scale():
    with pytest.raises(BadInput, match="expected an item with a token"):
        item_scale([np.zeros((0, 8), np.float32)])
