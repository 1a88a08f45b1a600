"""The parity gate: each measure finds what was planted, and each limit refuses by name."""

import shutil

import numpy as np
import pytest

from exporter.bundle_scoring import EncodedPairs, EncodedText, Lengths, RowFormat, encode_pairs
from exporter.bundle_scoring import integer_similarities as similarities_of
from exporter.parity import (
    FEWEST_LABELS,
    LEAST_TAU,
    LIMITS,
    Labels,
    check_parity,
    encoder_difference,
    float_similarities,
    golden_differing,
    keeps_order,
    score_parity,
)
from relevance.bundle import GOLDEN, Precision
from relevance.errors import GateRefused
from relevance.item_rows import RowCodec
from relevance.metrics import roc_auc
from tests.trainer.make_students import TITLES

PAIRS = [(query, item) for query in TITLES[:5] for item in TITLES]
GOOD = np.array([query.split()[1] in item for query, item in PAIRS])
LABELS = Labels(np.ones(len(PAIRS), bool), GOOD)
AT_THE_LIMIT = {**LIMITS, "pairs": 10.0}


@pytest.fixture(scope="module")
def encoded(exported) -> EncodedPairs:
    return encode_pairs(exported.folder, PAIRS, lengths=Lengths(8, 12))


@pytest.fixture(scope="module")
def served(exported, encoded) -> np.ndarray:
    return similarities_of(exported.folder, encoded, RowFormat.of(exported.manifest))


@pytest.fixture(scope="module")
def reference(encoded) -> np.ndarray:
    return float_similarities(encoded, RowCodec())


def moved(encoded: EncodedPairs, text: str, by: float) -> dict[str, EncodedText]:
    """The items, with one embedding value of one of them changed."""
    vectors = encoded.items[text].vectors.copy()
    vectors[-1, 3] += by
    return {**encoded.items, text: EncodedText(vectors, encoded.items[text].pieces)}


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


def test_all_measures_beyond_their_limits_are_named_at_once_and_the_worst_case_is_shown():
    with pytest.raises(GateRefused, match="worst pair: query 'red lamp'") as refusal:
        check_parity(dict.fromkeys(LIMITS, 9.0), shown=["worst pair: query 'red lamp'"])

    assert all(name in str(refusal.value) for name in LIMITS)


def test_eight_bits_may_move_a_cosine_further_but_not_the_graphs():
    moved_far = {**AT_THE_LIMIT, "similarity_max_difference": 0.04}

    check_parity(moved_far, precision=Precision.INT8_DYNAMIC)
    with pytest.raises(GateRefused, match="similarity_max_difference"):
        check_parity(moved_far, precision=Precision.FP32)
    with pytest.raises(GateRefused, match="maxima_differing"):
        check_parity({"maxima_differing": 1.0}, precision=Precision.INT8_DYNAMIC)


def test_equal_encoders_differ_by_nothing(encoded):
    assert encoder_difference(encoded.items, encoded.items) == (0.0, "")


@pytest.mark.parametrize("text", [TITLES[0], TITLES[7], TITLES[-1]])
@pytest.mark.parametrize("by", [0.25, float("nan")])
def test_one_embedding_value_that_differs_is_measured_and_its_text_named(encoded, text, by):
    found, where = encoder_difference(encoded.items, moved(encoded, text, by))

    assert found == pytest.approx(abs(by), abs=1e-6, nan_ok=True)
    assert where == text


def test_another_number_of_tokens_is_an_infinite_difference(encoded):
    text = TITLES[0]
    cut = EncodedText(encoded.items[text].vectors[:1], encoded.items[text].pieces[:1])

    assert encoder_difference(encoded.items, {**encoded.items, text: cut}) == (float("inf"), text)


def test_golden_rows_that_the_graph_does_not_reproduce_are_counted(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "bundle")
    golden = dict(np.load(folder / GOLDEN))
    golden["maxima"][[3, 5, 7], 2] += 1
    np.savez_compressed(folder / GOLDEN, **golden)

    assert golden_differing(exported.folder) == 0
    assert golden_differing(folder) == 3


def test_the_whole_integer_path_is_near_the_float_definition(reference, served):
    found = score_parity(PAIRS, reference, served, LABELS).measures

    assert 0 < found["similarity_mean_difference"] <= found["similarity_max_difference"] < 0.02
    assert (found["pairs"], found["lists"]) == (len(PAIRS), 5)
    assert found["roc_auc_points_lost"] == pytest.approx(
        100 * (roc_auc(GOOD, reference) - roc_auc(GOOD, served))
    )


def test_a_score_that_went_wrong_is_measured_named_and_flips_its_list(reference):
    wrong = reference.copy()
    wrong[4] = reference[4] + 0.5

    found = score_parity(PAIRS, reference, wrong, LABELS)

    assert found.measures["similarity_max_difference"] == pytest.approx(0.5)
    assert repr(PAIRS[4][0]) in found.worst_pair
    assert repr(PAIRS[4][1]) in found.worst_pair
    assert [flipped.query for flipped in found.flipped] == [PAIRS[4][0]]
    assert found.measures["kendall_tau_worst"] == found.flipped[0].tau < 1


def test_pairs_without_a_score_on_either_side_are_left_out(reference):
    ours, theirs = reference.copy(), reference.copy()
    ours[4], theirs[6] = np.nan, np.nan

    assert score_parity(PAIRS, ours, theirs, LABELS).measures["pairs"] == len(PAIRS) - 2


def test_lost_roc_auc_is_in_points_and_asked_only_of_labels_enough(reference):
    known = np.zeros(len(PAIRS), bool)
    known[: FEWEST_LABELS - 1] = True
    few = Labels(known, GOOD)

    found = score_parity(PAIRS, reference, -reference, LABELS).measures
    expected = 100 * (2 * roc_auc(GOOD, reference) - 1)
    assert found["roc_auc_points_lost"] == pytest.approx(expected)
    measures = score_parity(PAIRS, reference, -reference, few).measures
    assert "roc_auc_points_lost" not in measures
    one_class = Labels(LABELS.known, np.ones(len(PAIRS), bool))
    assert (
        "roc_auc_points_lost" not in score_parity(PAIRS, reference, reference, one_class).measures
    )


def test_a_list_that_keeps_its_order_well_enough_goes_without_a_report():
    assert keeps_order({"kendall_tau_mean": LEAST_TAU})
    assert not keeps_order({"kendall_tau_mean": LEAST_TAU - 1e-6})
    assert keeps_order({})


def test_no_scored_pair_leaves_nothing_to_compare(reference):
    found = score_parity(PAIRS, np.full_like(reference, np.nan), reference, LABELS)

    assert found.measures["pairs"] == found.measures["similarity_max_difference"] == 0
    assert (found.flipped, found.worst_pair) == ((), "")
    check_parity(found.measures)


def test_a_silent_side_has_no_float_similarity(exported):
    encoded = encode_pairs(
        exported.folder, [("red lamp", ""), ("", "red lamp")], lengths=Lengths(8, 12)
    )

    assert np.isnan(float_similarities(encoded, RowCodec())).all()
