"""A bundle is read only if every byte is what its manifest sealed."""

import hashlib
import json
from pathlib import Path

import pytest

from relevance.bundle import (
    MANIFEST,
    PARTS,
    TOKENIZER,
    BundleManifest,
    Precision,
    bundle_id,
    read_bundle,
    seal,
)
from relevance.bundle import write_manifest as write
from relevance.errors import BadBundle
from relevance.item_rows import RowCodec
from relevance.item_text import ItemText

RELEASED = Path(__file__).parent / "released"


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
    first, _, rest = str(found.value).partition("\n")
    assert not rest or rest.startswith("hint: ")
    return first


def write_tokenizer(path, *pieces):
    path.write_text(json.dumps({"model": {"vocab": {p: at for at, p in enumerate(pieces)}}}))


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
    assert "its content changed at the same size" in message


@pytest.mark.parametrize("name", PARTS)
def test_an_absent_or_cut_file_is_refused_naming_it(tmp_path, name):
    folder = tmp_path / "bundle"
    make_bundle(folder)

    whole = (folder / name).read_bytes()
    for cut in (b"", whole[:-1]):
        (folder / name).write_bytes(cut)
        assert f"{folder / name}: cut short: expected {len(whole):,} bytes" in refusal(folder)

    (folder / name).write_bytes(whole + b"0")
    assert "longer than sealed" in refusal(folder)

    (folder / name).unlink()
    assert f"{folder / name}: the manifest names this file, but it is absent" in refusal(folder)


def test_the_tokenizer_of_another_model_is_refused_as_such_and_a_damaged_one_as_damaged(tmp_path):
    write_tokenizer(tmp_path / TOKENIZER, "[PAD]", "red", "blue")
    make_bundle(tmp_path)

    write_tokenizer(tmp_path / TOKENIZER, "[PAD]", "red", "blau")
    assert "this is the tokenizer of another model: expected a vocabulary of 3 pieces" in refusal(
        tmp_path
    )

    write_tokenizer(tmp_path / TOKENIZER, "[PAD]", "red", "blue")
    content = (tmp_path / TOKENIZER).read_bytes()
    (tmp_path / TOKENIZER).write_bytes(content.replace(b"}}}", b"}} "))
    assert "its content changed" in refusal(tmp_path)


def test_a_newer_version_is_refused_saying_so_and_what_helps(tmp_path):
    make_bundle(tmp_path)
    edit_manifest(tmp_path, format="relevance-bundle/3", what_it_needs="unknown")

    with pytest.raises(BadBundle, match=r"relevance-bundle/3 is newer than .*\nhint: upgrade"):
        read_bundle(tmp_path)


def test_a_bundle_of_version_1_is_read_with_what_it_did_not_say_at_its_defaults():
    found = read_bundle(RELEASED / "bundle_1")

    assert found.bundle_id == "f91cd8d1c556168f"
    assert (found.format, found.precision) == ("relevance-bundle/1", Precision.FP32)
    assert (found.codec, found.rows, found.row_bytes) == (RowCodec(), 32, 128)
    assert (found.thresholds, found.vocabulary) == ((), None)


def test_rows_and_their_bytes_follow_from_the_codec(tmp_path):
    found = make_bundle(tmp_path, codec=RowCodec(pooling=3), dim=64)

    assert (found.rows, found.row_bytes) == (11, 64)
    assert read_bundle(tmp_path) == found


def test_a_part_without_a_seal_is_refused(tmp_path):
    files = make_bundle(tmp_path).model_dump()["files"]
    edit_manifest(tmp_path, files={k: v for k, v in files.items() if k != "maxsim.onnx"})

    assert "maxsim.onnx: the manifest does not mention this file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"format": "relevance-bundle/0"}, "`format`: "),
        ({"format": "something else"}, "`format`: "),
        ({"format": None}, "`format`: "),
        ({"precision": "int4"}, "`precision`: "),
        ({"codec": {"pooling": 0}}, "`codec.pooling`: "),
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

    (tmp_path / MANIFEST).write_text("[]")
    assert "expected a JSON object, got []" in refusal(tmp_path)


def test_the_id_follows_what_decides_a_score_and_nothing_else(tmp_path):
    first = make_bundle(tmp_path).bundle_id

    assert make_bundle(tmp_path).bundle_id == first
    told = {"parity": {}, "source": {"run": "two"}, "metrics": {"roc_auc": 0.7}, "licence": "MIT"}
    assert make_bundle(tmp_path, **told).bundle_id == first
    assert make_bundle(tmp_path, precision=Precision.FP16).bundle_id != first
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
