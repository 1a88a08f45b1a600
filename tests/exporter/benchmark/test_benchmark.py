"""The export benchmark on toy sizes: who takes part, what is counted, what the tables show."""

import numpy as np
import pytest

from exporter.attempt import CalibrationPairs
from exporter.benchmark.codec_bench import bench_codecs
from exporter.benchmark.maxsim_bench import DIM, ROWS, bench_maxsim
from exporter.benchmark.precision_bench import PrecisionRow
from exporter.benchmark.tables import codec_table, machine, maxsim_table, precision_table
from exporter.benchmark.timing import Timing, take_turns
from exporter.bundle_scoring import Lengths, RowFormat, encode_pairs, integer_similarities
from relevance.bundle import Precision
from relevance.errors import BadInput
from relevance.metrics import roc_auc
from tests.trainer.make_students import CATALOGUE, shop_pairs


def test_contestants_take_turns_and_the_first_turn_does_not_count():
    calls: list[str] = []

    found = take_turns({n: lambda n=n: calls.append(n) for n in ("a", "b")}, turns=3)

    assert calls == ["a", "b"] * 4
    for timing in found.values():
        assert 0 <= timing.best <= timing.quartile <= timing.median


def test_maxsim_is_timed_beside_the_floor_and_numpy_on_the_bytes_asked_for():
    found = bench_maxsim(arena_bytes=64 * ROWS * DIM, candidates=20, turns=2)

    assert found.arena_bytes == 64 * ROWS * DIM
    assert list(found.timings)[:3] == ["ours", "gather", "NumPy"]
    table = maxsim_table(found)
    assert "| ours |" in table
    assert "1.00 / 1.00" in table


def test_codecs_are_scored_as_a_bundle_scores_and_smaller_ones_are_smaller(checkpoint, exported):
    pairs = shop_pairs()[::13]

    rows = bench_codecs(
        checkpoint,
        CalibrationPairs(pairs, CATALOGUE),
        codecs=("", "dim8", "pool2", "dim8,pool2"),
        turns=1,
    )

    texts = [(p.query, CATALOGUE[p.item_id].title) for p in pairs]
    encoded = encode_pairs(exported.folder, texts, lengths=Lengths(8, 12))
    served = integer_similarities(exported.folder, encoded, RowFormat.of(exported.manifest))
    good = np.array([bool(pair.good) for pair in pairs])
    assert [row.item_bytes for row in rows] == [12 * 16, 12 * 8, 6 * 16, 6 * 8]
    assert rows[0].roc_auc == pytest.approx(roc_auc(good, served), abs=0.01)
    assert "| dim8,pool2 | 48 |" in codec_table(rows)


def test_a_codec_that_does_not_exist_is_refused(checkpoint):
    with pytest.raises(BadInput, match="expected words of"):
        bench_codecs(
            checkpoint, CalibrationPairs(shop_pairs()[:5], CATALOGUE), codecs=("tiny",), turns=1
        )


def test_tables_leave_undefined_measures_empty_and_name_the_machine():
    measures = {"similarity_mean_difference": 0.001, "similarity_max_difference": 0.01}
    row = PrecisionRow(Precision.FP32, measures, 1_000_000, Timing(2.0, 3.0, 4.0))
    half = PrecisionRow(Precision.INT8_DYNAMIC, measures, 500_000, Timing(1.0, 1.5, 2.0))

    table = precision_table([row, half])

    assert "| int8_dynamic | 0.5 | 1.00 / 1.50 | 0.50 / 0.50 |" in table
    assert "– (–)" in table
    assert "cores, load" in machine()
