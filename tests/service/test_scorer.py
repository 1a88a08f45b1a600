import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.golden import write_golden
from relevance.bundle import ENCODER, GOLDEN, MAXSIM
from relevance.late_interaction import (
    QuantisedQuery,
    integer_maxima,
    quantise_query,
    sigmoid,
    token_contributions,
)
from service.scorer import NUMPY_SCORER, NumpyScorer, OnnxScorer, Scorer, open_scorer
from tests.service.conftest import UNHURRIED

ITEMS, ROWS, DIM = 300, 6, 16
ARENA = np.random.default_rng(0).integers(1, 256, (ITEMS, ROWS, DIM), dtype=np.uint8)
ARENA[0], ARENA[1] = 255, 1
POSITIONS = st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=40)


def make_query(tokens: int, seed: int) -> QuantisedQuery:
    return quantise_query(np.random.default_rng(seed).normal(size=(tokens, DIM)))


@pytest.fixture(scope="module")
def scorers(bundle_folder, bundle) -> tuple[Scorer, Scorer]:
    scorer, degraded = open_scorer(bundle_folder, bundle)
    assert isinstance(scorer, OnnxScorer)
    assert degraded == ()
    return scorer, NumpyScorer(bundle)


@UNHURRIED
@given(positions=POSITIONS, tokens=st.integers(1, 40), seed=st.integers(0, 99), data=st.data())
def test_a_pair_scores_the_same_bits_alone_and_in_any_company(
    scorers, positions, tokens, seed, data
) -> None:
    scorer = data.draw(st.sampled_from(scorers))
    query = make_query(tokens, seed)
    chosen = data.draw(st.permutations(positions)) + data.draw(POSITIONS)

    together = scorer.score(query, ARENA, np.array(chosen, np.int64))

    for at, position in enumerate(chosen):
        alone = scorer.score(query, ARENA, np.array([position], np.int64))
        copied = scorer.score(query, ARENA[[position]], np.array([0], np.int64))
        assert alone.logits[0] == together.logits[at] == copied.logits[0]
        assert alone.probabilities[0] == together.probabilities[at]


@UNHURRIED
@given(positions=POSITIONS, tokens=st.integers(1, 40), seed=st.integers(0, 99))
def test_both_scorers_follow_the_definition(scorers, bundle, positions, tokens, seed) -> None:
    query = make_query(tokens, seed)
    at = np.array(positions, np.int64)

    first, second = (scorer.score(query, ARENA, at) for scorer in scorers)

    maxima = integer_maxima(query.steps, ARENA[at])
    contributions = token_contributions(
        maxima, query.scales, item_scale=bundle.item_scale, weight=bundle.logit_weight
    )
    logits = contributions.sum(axis=1) + bundle.logit_bias
    assert np.array_equal(first.maxima, maxima)
    assert np.array_equal(second.maxima, maxima)
    assert np.array_equal(first.logits, second.logits)
    assert np.allclose(first.logits, logits, rtol=0, atol=1e-12)
    assert np.allclose(first.probabilities, sigmoid(logits), rtol=0, atol=1e-12)
    assert first.maxima.dtype == np.int32
    assert first.logits.dtype == np.float64


def test_extreme_values_do_not_saturate(scorers) -> None:
    query = QuantisedQuery(np.full((16, DIM), -64, np.int8), np.ones(16, np.float32))

    for scorer in scorers:
        maxima = scorer.score(query, ARENA, np.arange(2)).maxima
        assert np.array_equal(maxima, integer_maxima(query.steps, ARENA[:2]))


def test_no_candidates_have_no_scores(scorers) -> None:
    for scorer in scorers:
        assert scorer.score(make_query(3, 0), ARENA, np.array([], np.int64)).logits.shape == (0,)


def test_a_kernel_that_counts_wrong_is_replaced_by_numpy_and_the_reason_is_told(
    bundle_folder, bundle, tmp_path
) -> None:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(bundle_folder / MAXSIM)
    for constant in graph.graph.initializer:
        if constant.name == "zero_point":
            constant.CopyFrom(numpy_helper.from_array(np.array(127, np.uint8), "zero_point"))
    onnx.save(graph, tmp_path / MAXSIM)
    shutil.copy(bundle_folder / ENCODER, tmp_path)
    write_golden(tmp_path / GOLDEN, dim=DIM, rows=ROWS)

    scorer, degraded = open_scorer(tmp_path, bundle)

    assert isinstance(scorer, NumpyScorer)
    assert degraded == (NUMPY_SCORER,)
