"""Crash-safe writing: whatever happens inside the block, the old or the whole new is there."""

import stat
from pathlib import Path

import pytest

from relevance.atomic import creating_folder, replacing_file, write_text
from relevance.errors import BadInput


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupted(block, write):
    with block as temporary:
        write(temporary, "half")
        raise RuntimeError("power cut")


def test_a_text_is_written_as_utf8_in_a_folder_made_for_it(tmp_path):
    write_text(tmp_path / "new" / "file.txt", "红色\n")

    assert (tmp_path / "new" / "file.txt").read_bytes() == "红色\n".encode()
    assert names(tmp_path / "new") == ["file.txt"]


def test_a_file_is_replaced_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    with replacing_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"


def test_a_failed_block_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted(replacing_file(path), Path.write_text)

    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_folder_in_place_of_the_file_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "folder").mkdir()

    with pytest.raises(BadInput, match="folder: expected a file to write, got a folder"):
        write_text(tmp_path / "folder", "text")

    assert names(tmp_path) == ["folder"]


def test_others_may_read_what_was_written(tmp_path):
    write_text(tmp_path / "file.txt", "text")
    with creating_folder(tmp_path / "folder"):
        pass

    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


def test_a_folder_appears_whole(tmp_path):
    path = tmp_path / "deep" / "folder"

    with creating_folder(path) as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file.txt").write_text("text")
        assert not path.exists()

    assert (path / "inner" / "file.txt").read_text() == "text"
    assert names(path.parent) == ["folder"]


def test_a_folder_replaces_the_one_there_with_nothing_left_of_it(tmp_path):
    path = tmp_path / "folder"
    for name in ("old.txt", "new.txt"):
        with creating_folder(path) as temporary:
            (temporary / name).write_text(name)

    assert names(path) == ["new.txt"]
    assert names(tmp_path) == ["folder"]


def test_a_failed_block_leaves_the_old_folder_and_no_litter(tmp_path):
    path = tmp_path / "folder"
    with creating_folder(path) as temporary:
        (temporary / "old.txt").write_text("old")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted(creating_folder(path), lambda folder, text: write_text(folder / "x.txt", text))

    assert names(path) == ["old.txt"]
    assert names(tmp_path) == ["folder"]
