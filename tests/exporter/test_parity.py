"""The parity gate: each measure finds what was planted, and each limit refuses by name."""

import shutil

import numpy as np
import pytest

from exporter.bundle_scoring import EncodedPairs, Lengths, encode_pairs, integer_similarities
from exporter.parity import LIMITS, ParitySample, check_parity, measure_parity
from relevance.bundle import GOLDEN
from relevance.errors import GateRefused
from tests.trainer.make_students import TITLES

PAIRS = [(query, item) for query in TITLES[:3] for item in TITLES]
AT_THE_LIMIT = {**LIMITS, "pairs": 10.0}


@pytest.fixture(scope="module")
def encoded(exported) -> EncodedPairs:
    return encode_pairs(exported.folder, PAIRS, lengths=Lengths(8, 12))


@pytest.fixture(scope="module")
def similarities(exported, encoded) -> np.ndarray:
    scale = exported.manifest.item_scale
    return integer_similarities(exported.folder, encoded, scale=scale, rows=12)


def sample_of(encoded: EncodedPairs, *, moved: float = 0.0, text: str = TITLES[2]) -> ParitySample:
    """What torch would have to say for no difference, but for one value of one text."""
    rows = {name: rows.copy() for name, rows in encoded.items.items()}
    rows[text][-1, 3] += moved
    return ParitySample(rows)


def test_measures_at_their_limits_pass():
    check_parity(AT_THE_LIMIT)


@pytest.mark.parametrize("beyond", [1.001, 1e6, float("nan"), float("inf")])
@pytest.mark.parametrize("name", LIMITS)
def test_each_measure_beyond_its_limit_is_refused_by_name_and_no_other(name, beyond):
    measured = {**AT_THE_LIMIT, name: (LIMITS[name] or 1) * beyond}

    with pytest.raises(GateRefused) as refusal:
        check_parity(measured)

    assert [other for other in LIMITS if other in str(refusal.value)] == [name]
    assert f"expected at most {LIMITS[name]:g}, got {measured[name]:g}" in str(refusal.value)


def test_all_measures_beyond_their_limits_are_named_at_once():
    with pytest.raises(GateRefused) as refusal:
        check_parity(dict.fromkeys(LIMITS, 9.0))

    assert all(name in str(refusal.value) for name in LIMITS)


def test_equal_sides_measure_no_difference(exported, encoded, similarities):
    found = measure_parity(exported.folder, encoded, sample_of(encoded), similarities)

    assert found["encoder_max_difference"] == found["maxima_differing"] == 0
    assert 0 < found["similarity_mean_difference"] <= found["similarity_max_difference"] < 0.02
    assert found["pairs"] == len(PAIRS)


@pytest.mark.parametrize("text", [TITLES[0], TITLES[7], TITLES[-1]])
@pytest.mark.parametrize("moved", [0.25, float("nan")])
def test_one_embedding_value_that_differs_is_measured_wherever_it_is(
    exported, encoded, similarities, text, moved
):
    sample = sample_of(encoded, moved=moved, text=text)

    found = measure_parity(exported.folder, encoded, sample, similarities)

    assert found["encoder_max_difference"] == pytest.approx(abs(moved), abs=1e-6, nan_ok=True)


def test_golden_rows_that_the_graph_does_not_reproduce_are_counted(
    exported, encoded, similarities, tmp_path
):
    folder = shutil.copytree(exported.folder, tmp_path / "bundle")
    golden = dict(np.load(folder / GOLDEN))
    golden["maxima"][[3, 5, 7], 2] += 1
    np.savez_compressed(folder / GOLDEN, **golden)

    found = measure_parity(folder, encoded, sample_of(encoded), similarities)

    assert found["maxima_differing"] == 3


def test_a_similarity_that_went_wrong_is_measured_and_a_missing_one_is_not(
    exported, encoded, similarities
):
    wrong = similarities.copy()
    wrong[4], wrong[6] = wrong[4] + 0.5, np.nan

    found = measure_parity(exported.folder, encoded, sample_of(encoded), wrong)

    assert found["similarity_max_difference"] == pytest.approx(0.5, abs=0.02)
    assert found["pairs"] == len(PAIRS) - 1


def test_no_scored_pair_leaves_nothing_to_compare(exported, encoded, similarities):
    found = measure_parity(
        exported.folder, encoded, ParitySample({}), np.full_like(similarities, np.nan)
    )

    assert found["pairs"] == found["similarity_max_difference"] == 0
    check_parity(found)
