"""`ellm store`: what each command says."""

from typer.testing import CliRunner

from relevance.errors import BadGeneration, BadInput
from relevance.generation import EMBEDDINGS
from service.store.commands import app
from tests.service.conftest import CATALOGUE
from tests.service.store.keeping import damage


def test_the_commands_say_what_a_store_holds(two, tmp_path) -> None:
    store, first, current = two

    def run(*words: str) -> str:
        shown = CliRunner().invoke(app, [*words, "--store", str(store.root)])
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    assert [line[:1] for line in run("list").splitlines()] == ["*", " "]
    assert f"items       {len(CATALOGUE)} " in run("inspect")
    assert f"{current}: sound" in run("verify")
    assert "added           0" in run("diff", first)
    assert "bytes" in run("export", "--out", str(tmp_path / "g.tar"))
    assert first in run("rollback")
    assert f"removed 1: {current}" in run("gc", "--keep", "0")
    damage(store.generation(first) / EMBEDDINGS)
    shown = CliRunner().invoke(app, ["verify", "--store", str(store.root)])
    assert isinstance(shown.exception, BadGeneration)


def test_a_folder_without_generations_is_told_apart_from_silence(tmp_path) -> None:
    shown = CliRunner().invoke(app, ["list", "--store", str(tmp_path)])

    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr.startswith(f"{tmp_path}: no generation yet")


def test_a_file_in_place_of_a_store_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("x")

    shown = CliRunner().invoke(app, ["list", "--store", str(tmp_path / "file")])

    assert isinstance(shown.exception, BadInput)
    assert "file: expected the folder of a store, got a file" in str(shown.exception)


def test_collecting_garbage_makes_no_store_where_there_is_none(tmp_path) -> None:
    shown = CliRunner().invoke(app, ["gc", "--store", str(tmp_path / "mistyped")])

    assert isinstance(shown.exception, BadInput)
    assert "mistyped: expected the folder of a store, found none" in str(shown.exception)
    assert not (tmp_path / "mistyped").exists()
