"""From checkpoint to bundle: complete and calibrated, or nothing at all."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from exporter.attempt import CalibrationPairs
from exporter.bundle_scoring import Lengths, RowFormat, encode_pairs, integer_similarities
from exporter.calibrate import fit_calibration
from exporter.export import LADDER, REPORT, ExportOptions, export_bundle
from exporter.parity import FEWEST_LABELS, LEAST_TAU, LIMITS
from exporter.verify import verify_bundle
from relevance.bundle import ENCODER, GOLDEN, PARTS, Precision, read_bundle
from relevance.errors import BadInput, GateRefused
from relevance.late_interaction import mean_maxsim, sigmoid
from relevance.records import Pair
from tests.exporter.conftest import FLOAT
from tests.trainer.make_students import CATALOGUE, shop_pairs
from trainer.scoring import score_text_pairs


def texts_of(pairs) -> list[tuple[str, str]]:
    return [(pair.query, CATALOGUE[pair.item_id].title) for pair in pairs]


def test_what_was_exported_is_a_bundle_the_service_can_read(exported, checkpoint):
    found = read_bundle(exported.folder)

    assert found == exported.manifest
    assert {path.name for path in exported.folder.iterdir()} == {
        *PARTS,
        *("manifest.json", REPORT),
    }
    card = checkpoint.card
    assert (found.dim, found.max_query_tokens, found.max_item_tokens, found.item_text) == (
        *(card.dim, card.query_tokens, card.item_tokens, card.item_text),
    )
    assert (found.threshold, found.source) == (0.5, {"data": "shop"})


def test_parity_was_measured_on_every_calibration_pair_and_holds(exported, shop):
    parity = exported.manifest.parity

    assert parity.keys() >= LIMITS.keys()
    assert all(parity[name] <= limit for name, limit in LIMITS.items())
    assert parity["encoder_max_difference"] > 0
    assert parity["pairs"] == len(shop.calibration)


def test_with_enough_labels_weight_and_bias_are_fitted_through_the_integer_graph(exported, shop):
    manifest = exported.manifest
    assert len(shop.calibration) >= FEWEST_LABELS

    lengths = Lengths(manifest.max_query_tokens, manifest.max_item_tokens)
    encoded = encode_pairs(exported.folder, texts_of(shop.calibration), lengths=lengths)
    similarities = integer_similarities(exported.folder, encoded, RowFormat.of(manifest))

    good = np.array([bool(pair.good) for pair in shop.calibration])
    expected = fit_calibration(similarities, good)
    assert manifest.calibration == "human"
    assert (manifest.logit_weight, manifest.logit_bias) == (expected.weight, expected.bias)
    probabilities = sigmoid(expected.weight * similarities + expected.bias)
    assert probabilities.mean() == pytest.approx(good.mean(), abs=0.02)


def test_the_bundle_orders_pairs_as_the_students_float_similarity_does(exported, checkpoint):
    pairs = shop_pairs()[::17]
    manifest = exported.manifest
    lengths = Lengths(manifest.max_query_tokens, manifest.max_item_tokens)
    encoded = encode_pairs(exported.folder, texts_of(pairs), lengths=lengths)

    found = integer_similarities(exported.folder, encoded, RowFormat.of(manifest))

    exact = [
        mean_maxsim(
            encoded.queries[q].vectors,
            encoded.items[i].vectors,
            np.ones(len(encoded.items[i]), bool),
        )
        for q, i in encoded.pairs
    ]
    student = checkpoint.student
    logits = score_text_pairs(checkpoint, pairs, CATALOGUE)
    assert found == pytest.approx(np.array(exact), abs=LIMITS["similarity_max_difference"])
    assert logits == pytest.approx(
        student.weight.item() * np.array(exact) + student.bias.item(), abs=0.2
    )  # bfloat16 where the processor has it


def test_with_few_labels_the_teachers_weight_and_bias_are_kept_and_said_to_be(
    checkpoint, shop, exported, tmp_path
):
    few = shop.calibration[: FEWEST_LABELS - 1]

    found = export_bundle(
        checkpoint,
        CalibrationPairs(few, CATALOGUE),
        tmp_path / "bundle",
        source={},
        options=FLOAT,
        write_graph=exported.copy_graph,
    )

    student = checkpoint.student
    assert found.calibration == "teacher"
    assert (found.logit_weight, found.logit_bias) == (student.weight.item(), student.bias.item())
    assert read_bundle(tmp_path / "bundle") == found
    same = {name: found.files[name] for name in PARTS if name != GOLDEN}  # its pairs have logits
    assert same == {name: exported.manifest.files[name] for name in same}
    assert (found.metrics, found.thresholds) == ({}, ())
    assert found.bundle_id != exported.manifest.bundle_id


def test_a_student_that_finds_the_wrong_pairs_similar_leaves_nothing_behind(
    checkpoint, shop, exported, tmp_path
):
    wrong = [replace(pair, good=not pair.good) for pair in shop.calibration]

    with pytest.raises(GateRefused, match="calibration: expected higher similarity on Good"):
        export_bundle(
            checkpoint,
            CalibrationPairs(wrong, CATALOGUE),
            tmp_path / "bundle",
            source={},
            options=FLOAT,
            write_graph=exported.copy_graph,
        )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "expected at least one"),
        ([Pair("red lamp", "gone", good=True)], "item `gone` is not in the catalogue"),
    ],
)
def test_calibration_pairs_that_cannot_be_used_are_refused_and_leave_nothing(
    checkpoint, tmp_path, pairs, message
):
    with pytest.raises(BadInput, match=message):
        export_bundle(
            checkpoint, CalibrationPairs(pairs, CATALOGUE), tmp_path / "bundle", source={}
        )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", [Precision.INT8_DYNAMIC, Precision.INT8_STATIC])
def test_an_encoder_in_eight_bits_is_measured_through_the_whole_path_and_says_what_flipped(
    checkpoint, shop, exported, tmp_path, precision
):
    folder = tmp_path / "bundle"
    options = ExportOptions(precision=precision)

    found = export_bundle(
        checkpoint,
        CalibrationPairs(shop.calibration[: FEWEST_LABELS - 1], CATALOGUE),
        folder,
        source={},
        options=options,
        write_graph=exported.copy_graph,
    )

    report = json.loads((folder / REPORT).read_text())
    assert found.precision is precision
    assert found.files[ENCODER] != exported.manifest.files[ENCODER]
    assert found.parity["similarity_max_difference"] > 0
    assert report["precision"] == precision
    assert len(report["flipped"]) == report["lists_flipped"] > 0
    assert verify_bundle(folder).manifest == found


def test_without_a_wish_the_first_precision_that_keeps_the_order_is_taken(
    checkpoint, shop, exported, tmp_path
):
    found = export_bundle(
        checkpoint,
        CalibrationPairs(shop.calibration, CATALOGUE),
        tmp_path / "bundle",
        source={},
        write_graph=exported.copy_graph,
    )

    assert found.precision in LADDER
    if found.precision is not LADDER[-1]:
        assert found.parity["kendall_tau_mean"] >= LEAST_TAU
    assert found.parity["roc_auc_points_lost"] <= LIMITS["roc_auc_points_lost"]


def test_an_encoder_that_differs_from_the_student_is_refused_with_its_worst_text(
    checkpoint, shop, exported, tmp_path
):
    def wrong_graph(path, student):
        exported.copy_graph(path, student)
        model = onnx.load(path)
        bias = next(t for t in model.graph.initializer if t.name.endswith("LayerNorm.bias"))
        moved = numpy_helper.to_array(bias) + np.float32(0.3)
        bias.CopyFrom(numpy_helper.from_array(moved, bias.name))
        onnx.save(model, path)

    with pytest.raises(
        GateRefused, match="(?s)encoder_max_difference: expected at most 0.0001.*worst text"
    ):
        export_bundle(
            checkpoint,
            CalibrationPairs(shop.calibration, CATALOGUE),
            tmp_path / "bundle",
            source={},
            write_graph=wrong_graph,
        )
    assert list(tmp_path.iterdir()) == []
