"""A checkpoint that is read scores the same bits; one that was damaged is refused."""

import json
import shutil

import pytest
import torch

from relevance.errors import BadInput
from tests.trainer.make_students import TITLES, make_card, make_checkpoint
from trainer.students.checkpoint import (
    CARD,
    TOKENIZER,
    WEIGHTS,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from trainer.students.texts import pad, tokenise


@pytest.fixture(scope="module")
def checkpoint(backbone_folder) -> Checkpoint:
    made = make_checkpoint(backbone_folder)
    made.student.encoder.set_attn_implementation("eager")  # as students are trained
    return made


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    written = tmp_path_factory.mktemp("checkpoints") / "student"
    write_checkpoint(written, checkpoint)
    return written


@pytest.fixture
def damaged(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "damaged")


def test_what_is_read_is_what_was_written(checkpoint, folder):
    found = read_checkpoint(folder)

    assert found.card == checkpoint.card
    expected = checkpoint.student.state_dict()
    assert found.student.state_dict().keys() == expected.keys()
    assert all(torch.equal(t, expected[n]) for n, t in found.student.state_dict().items())
    assert not found.student.training


def test_what_is_read_embeds_the_same_bits(checkpoint, folder):
    texts = ["red lamp [SEP] desk", *TITLES]
    embedded = []
    for each in (checkpoint, read_checkpoint(folder)):
        with torch.no_grad():
            embedded.append(each.student.embed(pad(tokenise(each.tokenizer, texts, length=8))))

    assert torch.equal(*embedded)


def test_a_typed_special_token_is_still_text_after_reading(checkpoint, folder):
    found = read_checkpoint(folder).tokenizer

    typed = "red [SEP] lamp [PAD]"
    assert found.encode(typed).ids == checkpoint.tokenizer.encode(typed).ids
    assert found.encode(typed).ids.count(3) == 1


def test_writing_again_replaces_the_folder_whole(checkpoint, tmp_path):
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "stale").touch()

    write_checkpoint(tmp_path / "student", checkpoint)

    names = {path.name for path in (tmp_path / "student").iterdir()}
    assert names == {CARD, WEIGHTS, TOKENIZER, "config.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x00\xff not this", "half"])
@pytest.mark.parametrize("name", [CARD, WEIGHTS, TOKENIZER, "config.json"])
def test_a_damaged_file_is_bad_input_that_names_the_folder(damaged, name, content):
    path = damaged / name
    if content is None:
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)

    with pytest.raises(BadInput, match=str(damaged)):
        read_checkpoint(damaged)


@pytest.mark.parametrize(
    "changes", [{"dim": 8}, {"hidden": 64}, {"format": "relevance-student/2"}, {"student": "bert"}]
)
def test_a_card_that_does_not_fit_the_weights_is_refused(damaged, changes):
    card = {**json.loads((damaged / CARD).read_text()), **changes}
    (damaged / CARD).write_text(json.dumps(card))

    with pytest.raises(BadInput, match="expected a student's checkpoint"):
        read_checkpoint(damaged)


def test_a_folder_that_is_not_there_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="expected a student's checkpoint"):
        read_checkpoint(tmp_path / "nowhere")


def test_a_card_says_the_same_after_json():
    card = make_card()

    assert type(card).model_validate_json(card.model_dump_json()) == card
