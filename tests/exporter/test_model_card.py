"""A student in sentence-transformers' layout comes with a card that says how to use it."""

from sentence_transformers import MultiVectorEncoder
from typer.testing import CliRunner

from exporter.commands import app
from exporter.model_card import model_card
from relevance.errors import BadInput
from tests.trainer.make_students import make_card
from trainer.students.student import StudentKind


def test_the_command_writes_a_model_the_library_loads_and_its_card(checkpoint_folder, tmp_path):
    words = ["sentence-transformers", str(checkpoint_folder), str(tmp_path / "model")]

    done = CliRunner().invoke(app, [*words, "--licence", "apache-2.0"], catch_exceptions=False)

    assert done.exit_code == 0
    page = (tmp_path / "model" / "README.md").read_text()
    assert page.startswith("---\nlibrary_name: sentence-transformers\nlicense: apache-2.0\n")
    assert 'MultiVectorEncoder("model")' in page
    assert "| backbone | tiny-bert |" in page
    model = MultiVectorEncoder(str(tmp_path / "model"), device="cpu")
    assert model.encode_query(["red lamp"])[0].shape == (2, 16)


def test_a_cross_encoder_has_its_own_words_and_no_embeddings():
    card = make_card().model_copy(update={"student": StudentKind.BERT})

    page = model_card(card, licence="", folder="judge")

    assert 'CrossEncoder("judge")' in page
    assert "license: other" in page
    assert "embeddings |" not in page


def test_what_is_no_checkpoint_leaves_nothing(tmp_path):
    words = ["sentence-transformers", str(tmp_path), str(tmp_path / "model")]

    done = CliRunner().invoke(app, words)

    assert isinstance(done.exception, BadInput)
    assert not (tmp_path / "model").exists()
