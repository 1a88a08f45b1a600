"""A bundle is read only if every byte is what its manifest sealed."""

import hashlib
import json

import pytest

from relevance.bundle import MANIFEST, PARTS, BundleManifest, bundle_id, read_bundle, seal
from relevance.bundle import write_manifest as write
from relevance.errors import BadBundle
from relevance.item_text import ItemText


def make_bundle(folder, **changes):
    folder.mkdir(exist_ok=True)
    for name in PARTS:
        if not (folder / name).exists():
            (folder / name).write_bytes(name.encode() * 100)
    settings = {
        "dim": 128,
        "max_query_tokens": 16,
        "max_item_tokens": 32,
        "item_text": ItemText.TITLE,
        "item_scale": 0.01,
        "logit_weight": 12.0,
        "logit_bias": -8.25,
        "threshold": 0.5,
        "calibration": "human",
        "parity": {"largest_drift": 0.001},
        "source": {"run": "one"},
    }
    return write(folder, **{**settings, **changes})


def refusal(folder):
    with pytest.raises(BadBundle) as found:
        read_bundle(folder)
    assert "\n" not in str(found.value)
    return str(found.value)


def edit_manifest(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_was_written_is_read(tmp_path):
    manifest = make_bundle(tmp_path / "bundle")

    assert read_bundle(tmp_path / "bundle") == manifest
    assert isinstance(manifest, BundleManifest)


def test_a_seal_is_size_and_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")

    assert seal(path).bytes == 3
    assert seal(path).sha256 == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_byte_is_refused_naming_the_file(tmp_path, name):
    folder = tmp_path / "bundle"
    make_bundle(folder)
    content = bytearray((folder / name).read_bytes())
    content[50] ^= 1
    (folder / name).write_bytes(content)

    message = refusal(folder)

    assert str(folder / name) in message
    assert "with SHA-256" in message


@pytest.mark.parametrize("name", PARTS)
def test_an_absent_or_cut_file_is_refused_naming_it(tmp_path, name):
    folder = tmp_path / "bundle"
    make_bundle(folder)

    (folder / name).write_bytes(b"")
    assert f"{folder / name}: expected" in refusal(folder)

    (folder / name).unlink()
    assert f"{folder / name}: the manifest names this file, but it is absent" in refusal(folder)


def test_a_part_without_a_seal_is_refused(tmp_path):
    files = make_bundle(tmp_path).model_dump()["files"]
    edit_manifest(tmp_path, files={k: v for k, v in files.items() if k != "maxsim.onnx"})

    assert "maxsim.onnx: the manifest does not mention this file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"format": "relevance-bundle/2"}, "`format`: "),
        ({"threshold": 1.5}, "`threshold`: "),
        ({"threshold": 0.6}, "expected id "),
        ({"surprise": 1}, "`surprise`: "),
        ({"bundle_id": "xyz"}, "`bundle_id`: "),
        ({"bundle_id": "0" * 16}, "got 0000000000000000"),
        ({"logit_bias": None}, "`logit_bias`: "),
    ],
)
def test_an_edited_manifest_is_refused_naming_the_field(tmp_path, changes, fault):
    make_bundle(tmp_path)
    edit_manifest(tmp_path, **changes)

    message = refusal(tmp_path)

    assert str(tmp_path / MANIFEST) in message
    assert fault in message


def test_an_absent_or_damaged_manifest_is_refused(tmp_path):
    assert "expected a bundle's manifest: No such file" in refusal(tmp_path)

    (tmp_path / MANIFEST).write_text('{"format"')
    assert "Invalid JSON" in refusal(tmp_path)


def test_the_id_follows_what_decides_a_score_and_nothing_else(tmp_path):
    first = make_bundle(tmp_path).bundle_id

    assert make_bundle(tmp_path).bundle_id == first
    assert make_bundle(tmp_path, parity={}, source={"run": "two"}).bundle_id == first
    assert make_bundle(tmp_path, threshold=0.6).bundle_id != first
    (tmp_path / "encoder.onnx").write_bytes(b"retrained")
    assert make_bundle(tmp_path).bundle_id != first


def test_the_order_of_settings_does_not_change_the_id():
    assert bundle_id({"dim": 1, "threshold": 0.5}) == bundle_id({"threshold": 0.5, "dim": 1})


@pytest.mark.parametrize(
    "changes", [{"logit_bias": float("nan")}, {"parity": {"drift": float("inf")}}]
)
def test_a_number_json_cannot_carry_is_refused_when_it_is_written(tmp_path, changes):
    with pytest.raises(ValueError, match="finite number"):
        make_bundle(tmp_path, **changes)
