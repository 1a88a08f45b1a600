"""`ellm export` as it is typed."""

from typer.testing import CliRunner

from exporter.commands import app
from relevance.bundle import read_bundle
from tests.exporter.conftest import FOLD


def test_the_same_checkpoint_becomes_the_same_bundle(exported, checkpoint_folder, shop, tmp_path):
    words = (
        *("--checkpoint", checkpoint_folder, "--data", shop.data, "--folds", shop.folds),
        *("--fold", FOLD, "--out", tmp_path / "bundle", "--precision", "fp32"),
    )

    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    found = read_bundle(tmp_path / "bundle")
    assert done.exit_code == 0
    assert f"bundle {exported.manifest.bundle_id} (fp32, calibration: human)" in done.output
    assert "parity encoder_max_difference" in done.output
    assert found.bundle_id == exported.manifest.bundle_id
    assert found.source == {"data": "shop", "fold": str(FOLD), "checkpoint": "student"}
