"""The error that chance alone shows, where queries differ by a known amount."""

import numpy as np
import pytest

from relevance.late_interaction import sigmoid
from relevance.metrics import calibration_error
from teacher.measures.calibration import chance_error, query_spread

QUERIES, OF_EACH = 400, 20


def drawn(spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and calibrated log-odds of queries whose pairs share an offset."""
    random = np.random.default_rng(seed)
    place = np.repeat(np.arange(QUERIES), OF_EACH)
    log_odds = random.normal(size=QUERIES * OF_EACH)
    steeper = np.sqrt(1 + np.pi * spread**2 / 8)
    shared = random.normal(0, spread, QUERIES)[place]
    return random.random(len(place)) < sigmoid(steeper * log_odds + shared), log_odds, place


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_what_queries_have_in_common_is_found_again(spread: float) -> None:
    found = [query_spread(*drawn(spread, seed)) for seed in range(5)]

    assert np.mean(found) == pytest.approx(spread, abs=0.12)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_calibrated_judge_shows_what_chance_shows(spread: float) -> None:
    errors = []
    for seed in range(20):
        good, log_odds, place = drawn(spread, seed)
        errors.append(calibration_error(good, sigmoid(log_odds)))

    expected = chance_error(good, log_odds, [str(n) for n in place], draws=50)

    assert np.mean(errors) == pytest.approx(expected.mean, rel=0.15)


def test_queries_that_differ_cost_more_where_a_judge_tells_queries_apart() -> None:
    good, log_odds, place = drawn(1.0)
    of_query = np.repeat(log_odds[:QUERIES], OF_EACH)
    queries, pairs = ([str(n) for n in groups] for groups in (place, range(len(place))))

    together, alone = (
        chance_error(good, of_query, groups, draws=30) for groups in (queries, pairs)
    )

    assert alone.mean < 0.6 * together.mean
