"""What is verified, and when: once per machine, again where it looks changed."""

import numpy as np
import pytest

from relevance.errors import BadGeneration
from relevance.generation import PARTS, read_current, read_manifest
from service.store.chunks import HashedFile, hash_file, read_chunks, sample
from service.store.verified import check_once


def test_files_are_checked_once_and_again_when_they_look_changed(tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    calls: list[int] = []

    def check() -> None:
        calls.append(1)

    assert check_once("g", [file], root=tmp_path, check=check)
    assert not check_once("g", [file], root=tmp_path, check=check)
    file.write_text("y")
    assert check_once("g", [file], root=tmp_path, check=check)
    assert len(calls) == 2


def test_a_failed_check_is_not_remembered(tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    def fail() -> None:
        raise BadGeneration("damaged")

    for _ in range(2):
        with pytest.raises(BadGeneration, match="damaged"):
            check_once("g", [file], root=tmp_path, check=fail)


def test_a_store_that_cannot_be_written_to_is_remembered_elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("tempfile.tempdir", None)
    file = tmp_path / "store" / "file"
    file.parent.mkdir()
    file.write_text("x")
    (tmp_path / "store" / "verified").write_text("a file where the folder should be")

    assert check_once("g", [file], root=tmp_path / "store", check=lambda: None)
    assert not check_once("g", [file], root=tmp_path / "store", check=lambda: None)


def test_a_hashed_file_has_the_digests_of_what_it_holds(tmp_path) -> None:
    random = np.random.default_rng(0)
    content = random.integers(0, 256, 3_500_000, np.uint8).tobytes()
    path = tmp_path / "file"
    with HashedFile(path) as file:
        for start in range(0, 2_100_000, 700_000):
            file.write(content[start : start + 700_000])
    with HashedFile(path, kept=2_000_000) as again:
        again.write(content[2_000_000:])
        assert again.digests == hash_file(path)[:1] + again.digests[1:]

    assert path.read_bytes() == content
    assert again.digests == hash_file(path)
    with pytest.raises(BadGeneration, match="expected 4000000 bytes, got 3500000"):
        HashedFile(path, kept=4_000_000)


def test_chunks_name_every_byte_of_every_part_once(store) -> None:
    folder = store.generation(read_current(store).generation)
    manifest = read_manifest(folder)

    chunks = read_chunks(folder, manifest)

    covered = dict.fromkeys(PARTS, 0)
    for chunk in chunks:
        assert chunk.offset == covered[chunk.path.name]
        covered[chunk.path.name] += chunk.length
    assert covered == manifest.sizes
    assert {chunks[0], chunks[-1]} <= set(sample(chunks, count=1))
