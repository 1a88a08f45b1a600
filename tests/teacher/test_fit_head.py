"""Fitting a head: held to scikit-learn, and honest about what was held out."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from teacher.fit_head import INNER_FOLDS, calibrating_line, fit_head, fit_signed
from teacher.online.features import FAMILIES
from teacher.online.inputs import Inputs

INPUTS = Inputs(tuple(FAMILIES))
WIDTH = len(INPUTS.names)
PAIRS = 300


def make_pairs(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(PAIRS, WIDTH))
    good = features[:, 0] + rng.normal(size=PAIRS) > 0
    return features, good, np.repeat(np.arange(PAIRS // 10), 10)


def test_without_signs_the_fit_is_scikit_learns() -> None:
    features, good, _ = make_pairs()
    weights = np.linspace(0.5, 1.5, PAIRS)

    found, bias = fit_signed(features, good, weights, (0,) * WIDTH, regularisation=0.1)

    oracle = LogisticRegression(C=0.1, tol=1e-8).fit(features, good, sample_weight=weights)
    np.testing.assert_allclose(
        features @ found + bias, oracle.decision_function(features), rtol=0, atol=5e-3
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_weights_keep_their_signs(sign: int) -> None:
    features, good, _ = make_pairs()

    found, _ = fit_signed(features, good, np.ones(PAIRS), (sign,) * WIDTH)

    assert (found * sign >= 0).all()


def test_no_query_is_judged_by_a_fold_that_saw_it() -> None:
    features, good, groups = make_pairs()

    fitted = fit_head(features, good, groups, inputs=INPUTS)

    assert set(fitted.inner) == set(range(INNER_FOLDS))
    assert all(len(set(fitted.inner[groups == group])) == 1 for group in set(groups))


def test_a_pairs_own_label_does_not_reach_its_held_out_log_odds() -> None:
    features, good, groups = make_pairs()
    turned = np.where(groups == 0, ~good, good)

    one, other = (fit_head(features, g, groups, inputs=INPUTS) for g in (good, turned))

    raw = [(f.held_out - f.head.offset) / f.head.slope for f in (one, other)]
    np.testing.assert_allclose(raw[0][groups == 0], raw[1][groups == 0], rtol=0, atol=1e-9)


def test_calibration_mends_a_judge_that_is_too_sure() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=20_000)
    good = rng.random(20_000) < sigmoid(honest)

    slope, offset = calibrating_line(3 * honest + 1, good)

    assert slope == pytest.approx(1 / 3, abs=0.02)
    assert offset == pytest.approx(-1 / 3, abs=0.05)


def test_calibration_is_not_made_certain_by_a_few_perfect_pairs() -> None:
    slope, offset = calibrating_line(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0, 0, 1, 1]) == 1)

    assert sigmoid(np.array([slope + offset])) == pytest.approx(0.75, abs=0.01)


def test_calibration_never_turns_a_ranking_over() -> None:
    slope, _ = calibrating_line(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([1, 1, 0, 0]) == 1)

    assert slope > 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_labels_of_one_kind_are_refused(share: float) -> None:
    features, _, groups = make_pairs()

    with pytest.raises(BadInput, match="expected Good and Bad pairs"):
        fit_head(features, np.full(PAIRS, bool(share)), groups, inputs=INPUTS)
