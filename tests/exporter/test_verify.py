"""`ellm export verify`: what was made passes; each kind of damage is refused in its own words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from exporter.commands import app
from exporter.golden import GoldenPair, read_golden_pairs, write_golden
from exporter.verify import FARTHEST_LOGIT, verify_bundle
from relevance.bundle import ENCODER, GOLDEN, MANIFEST, MAXSIM, PARTS, TOKENIZER, write_manifest
from relevance.errors import BadBundle
from tests.trainer.make_students import write_backbone


@pytest.fixture
def bundle(exported, tmp_path) -> Path:
    return shutil.copytree(exported.folder, tmp_path / "bundle")


def sealed_again(folder: Path) -> None:
    """The manifest as an attacker, or a careless script, would write it after a change."""
    content = json.loads((folder / MANIFEST).read_text())
    for name in ("files", "bundle_id", "vocabulary"):
        del content[name]
    write_manifest(folder, **content)


def refusal(folder: Path) -> str:
    with pytest.raises(BadBundle) as found:
        verify_bundle(folder)
    return str(found.value)


def flip_a_bit(path: Path) -> None:
    """In the middle; in a tokenizer at its end, since a piece read otherwise is another piece."""
    content = bytearray(path.read_bytes())
    content[-2 if path.name == TOKENIZER else len(content) // 2] ^= 0b100
    path.write_bytes(content)


def test_a_copy_of_a_bundle_answers_as_the_original_did(bundle, exported):
    found = verify_bundle(bundle)

    assert found.manifest == exported.manifest
    assert found.golden_pairs >= 20
    assert found.logit_max_difference == 0


def test_golden_pairs_are_read_as_written_and_old_files_have_none(tmp_path):
    pairs = (GoldenPair("red lamp", "Red “Lamp” 🪔", -1.25), GoldenPair("q", "", 3.0))

    write_golden(tmp_path / "new.npz", dim=4, rows=2, pairs=pairs)
    np.savez(tmp_path / "old.npz", query=np.zeros(1), arena=np.zeros(1), maxima=np.zeros(1))

    assert read_golden_pairs(tmp_path / "new.npz") == pairs
    assert read_golden_pairs(tmp_path / "old.npz") == ()


@pytest.mark.parametrize("name", PARTS)
def test_a_flipped_bit_and_a_cut_file_are_told_apart(bundle, name):
    flip_a_bit(bundle / name)
    assert f"{bundle / name}: its content changed at the same size" in refusal(bundle)

    (bundle / name).write_bytes((bundle / name).read_bytes()[:-100])
    assert "cut short" in refusal(bundle)

    (bundle / name).unlink()
    assert "it is absent" in refusal(bundle)


def test_the_tokenizer_of_another_model_is_refused_as_such(bundle, tmp_path):
    other = json.loads((bundle / TOKENIZER).read_text())
    other["model"]["vocab"]["zebra"] = len(other["model"]["vocab"])
    (bundle / TOKENIZER).write_text(json.dumps(other))

    assert "this is the tokenizer of another model" in refusal(bundle)


def test_a_newer_version_is_refused_as_such(bundle):
    content = json.loads((bundle / MANIFEST).read_text()) | {"format": "relevance-bundle/9"}
    (bundle / MANIFEST).write_text(json.dumps(content))

    assert "is newer than relevance-bundle/2" in refusal(bundle)


def test_a_graph_that_was_swapped_and_sealed_again_is_found_by_its_golden_answers(bundle, exported):
    arrays = dict(np.load(bundle / GOLDEN))
    arrays["pair_logits"] = arrays["pair_logits"] + 2 * FARTHEST_LOGIT
    np.savez_compressed(bundle / GOLDEN, **arrays)
    sealed_again(bundle)
    assert f"{bundle / ENCODER}: golden logits differ by up to 0.1 on this CPU" in refusal(bundle)

    arrays["maxima"][0, 0] += 1
    np.savez_compressed(bundle / GOLDEN, **arrays)
    sealed_again(bundle)
    assert f"{bundle / MAXSIM}: 1 golden maxima differ" in refusal(bundle)

    (bundle / MAXSIM).write_bytes(b"no graph")
    sealed_again(bundle)
    assert f"{bundle / MAXSIM}: does not run on its golden rows" in refusal(bundle)


def test_the_command_says_what_it_checked_and_exits_with_three_where_it_is_wrong(bundle):
    def said(*words: object):
        return CliRunner().invoke(app, [str(word) for word in words])

    done = said("verify", bundle)
    assert done.exit_code == 0
    assert "4 files sealed, golden rows exact" in done.output

    flip_a_bit(bundle / ENCODER)
    assert isinstance(said("verify", bundle).exception, BadBundle)


def test_a_tokenizer_without_embeddings_for_its_ids_never_becomes_a_bundle(
    checkpoint, shop, tmp_path
):
    from dataclasses import replace

    from exporter.attempt import CalibrationPairs
    from exporter.export import export_bundle
    from relevance.errors import BadInput
    from tests.trainer.make_students import CATALOGUE, read_backbone

    other = read_backbone(str(write_backbone(tmp_path / "other"))).tokenizer
    other.add_tokens([f"newword{at}" for at in range(50)])

    with pytest.raises(BadInput, match="its tokenizer is another model's: ids up to"):
        export_bundle(
            replace(checkpoint, tokenizer=other),
            CalibrationPairs(shop.calibration, CATALOGUE),
            tmp_path / "bundle",
            source={},
        )
    assert not (tmp_path / "bundle").exists()
