"""`ellm evaluate --bundle`: the logits are the definition's to the last bit, in a file and told."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from exporter.bundle_scoring import Lengths, encode_pairs
from exporter.evaluate import measures_of, score_with_bundle
from relevance.cli import make_app
from relevance.errors import BadInput
from relevance.late_interaction import (
    integer_maxima,
    logits,
    quantise_item,
    quantise_query,
    sigmoid,
    token_contributions,
)
from relevance.metrics import roc_auc
from relevance.records import Pair
from tests.exporter.conftest import FOLD
from tests.trainer.make_students import CATALOGUE, TITLES, shop_pairs


def logit_by_numpy(encoded, manifest, pair: Pair) -> float:
    query = quantise_query(encoded.queries[pair.query].vectors)
    item = encoded.items[CATALOGUE[pair.item_id].title].vectors
    rows = quantise_item(item, scale=manifest.item_scale, rows=manifest.rows)
    maxima = integer_maxima(query.steps, rows[None])
    shares = token_contributions(
        maxima, query.scales, item_scale=manifest.item_scale, weight=manifest.logit_weight
    )
    return float(logits(shares, bias=manifest.logit_bias)[0])


def test_logits_are_those_of_numpy_alone_to_the_last_bit(exported):
    manifest, pairs = exported.manifest, shop_pairs()[::31]

    found = score_with_bundle(exported.folder, manifest, pairs, CATALOGUE)

    texts = [(p.query, CATALOGUE[p.item_id].title) for p in pairs]
    lengths = Lengths(manifest.max_query_tokens, manifest.max_item_tokens)
    encoded = encode_pairs(exported.folder, texts, lengths=lengths)
    expected = np.array([logit_by_numpy(encoded, manifest, pair) for pair in pairs])
    assert found.logits.tobytes() == expected.tobytes()
    assert found.probabilities.tobytes() == sigmoid(expected).tobytes()


def test_the_command_tells_measures_and_writes_scores_of_a_folds_test_part(
    exported, shop, tmp_path
):
    out = tmp_path / "scores.parquet"
    words = (
        *("evaluate", "--bundle", exported.folder, f"{shop.data}_pairs.parquet"),
        *("--folds", shop.folds, "--fold", FOLD, "--out", out),
    )
    runner = CliRunner()

    done = runner.invoke(make_app("evaluate"), [str(w) for w in words], catch_exceptions=False)

    table = pq.read_table(out)
    assert done.exit_code == 0
    assert table.schema.metadata[b"bundle"] == exported.manifest.bundle_id.encode()
    good = np.array(table["good"].to_pylist()) == 1
    scores = np.array(table["score"].to_pylist())
    assert f"roc_auc: {roc_auc(good, scores):.6g}" in done.output
    assert f"{len(table):,} pairs scored" in done.output


def test_pairs_without_labels_or_scores_are_kept_but_not_measured(exported):
    silent = {**CATALOGUE, "none": CATALOGUE["I0"].__class__("none", "")}
    pairs = [Pair(TITLES[0], "none", good=True), Pair(TITLES[0], "I0")]

    found = score_with_bundle(exported.folder, exported.manifest, pairs, silent)

    assert np.isnan(found.probabilities).tolist() == [True, False]
    assert measures_of(found, threshold=0.5) == {}


def test_an_unknown_item_is_named(exported):
    with pytest.raises(BadInput, match="item `gone` is not in the catalogue"):
        score_with_bundle(exported.folder, exported.manifest, [Pair("q", "gone")], CATALOGUE)
