import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from relevance.errors import BadGeneration, BadInput, Unavailable
from relevance.generation import EMBEDDINGS, PARTS, StorePaths, read_current
from relevance.records import read_catalogue
from service.fakes import WordEncoder
from service.item_codec import ItemCodec
from service.refresh.commands import app
from service.refresh.encode import encode_catalogue, open_codec
from service.refresh.refresh import refresh, verify
from service.serving import open_current
from tests.service.conftest import CATALOGUE, write_catalogue


def parts_of(store: Path) -> dict[str, bytes]:
    paths = StorePaths(store)
    folder = paths.generation(read_current(paths).generation)
    return {name: (folder / name).read_bytes() for name in PARTS}


def test_a_refresh_writes_the_same_bytes_whatever_the_number_of_processes(
    store_folder, bundle_folder, catalogue_file, tmp_path
) -> None:
    report = refresh(bundle=bundle_folder, items=catalogue_file, store=tmp_path, workers=2)

    assert parts_of(tmp_path) == parts_of(store_folder)
    assert report.items == len(CATALOGUE)
    assert report.no_text == 1
    assert report.cut >= 1
    assert report.bytes == len(parts_of(tmp_path)[EMBEDDINGS])


def test_every_item_lies_where_the_catalogue_has_it(store_folder, catalogue_file) -> None:
    catalogue = read_catalogue(catalogue_file)

    _, reader = open_current(StorePaths(store_folder))

    assert tuple(reader.item(row) for row in range(len(catalogue))) == catalogue


def test_an_item_without_text_has_no_tokens_and_rows_of_the_zero_point(store_folder) -> None:
    _, reader = open_current(StorePaths(store_folder))
    row = int(reader.rows_of(["B005"])[0])

    assert reader.token_counts[row] == 0
    assert np.all(reader.arena[row] == 128)


def test_a_refresh_with_the_same_bundle_keeps_the_old_generation_beside_the_new(
    store_folder, bundle_folder, catalogue_file, tmp_path
) -> None:
    shutil.copytree(store_folder, tmp_path, dirs_exist_ok=True)
    before = read_current(StorePaths(tmp_path))

    report = refresh(bundle=bundle_folder, items=catalogue_file, store=tmp_path, workers=1)

    paths = StorePaths(tmp_path)
    assert read_current(paths).generation == report.generation_id != before.generation
    assert paths.generation(before.generation).is_dir()


def failing_after_one(batches, items):
    yield next(iter(batches))
    raise BadInput("a wrong row")


def flipping_a_bit(batches, items):
    for batch, encoded in batches:
        yield batch, replace(encoded, embeddings=encoded.embeddings ^ 1)


@pytest.mark.parametrize(
    ("progress", "fault", "message"),
    [
        (failing_after_one, BadInput, "a wrong row"),
        (flipping_a_bit, BadGeneration, "expected the bytes of encoding it again"),
    ],
)
def test_a_failure_leaves_the_current_generation_and_no_unfinished_folder(
    store_folder, bundle_folder, catalogue_file, tmp_path, progress, fault, message
) -> None:
    shutil.copytree(store_folder, tmp_path, dirs_exist_ok=True)
    before = StorePaths(tmp_path).current.read_bytes()
    folders = sorted((tmp_path / "generations").iterdir())

    with pytest.raises(fault, match=message):
        refresh(
            bundle=bundle_folder,
            items=catalogue_file,
            store=tmp_path,
            workers=1,
            progress=progress,
        )

    assert StorePaths(tmp_path).current.read_bytes() == before
    assert sorted((tmp_path / "generations").iterdir()) == folders


def test_an_encoding_process_that_dies_is_told_and_not_waited_for(bundle_folder, bundle) -> None:
    batches = encode_catalogue(CATALOGUE * 100, bundle_folder, bundle, workers=2)
    next(batches)
    for process in multiprocessing.active_children():
        process.kill()

    with pytest.raises(Unavailable, match="an encoding process died"):
        list(batches)


def full_disk(batches, items):
    yield next(iter(batches))
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_unavailable(bundle_folder, catalogue_file, tmp_path) -> None:
    with pytest.raises(Unavailable, match="cannot be written: .* No space left on device"):
        refresh(
            bundle=bundle_folder,
            items=catalogue_file,
            store=tmp_path,
            workers=1,
            progress=full_disk,
        )


def test_verifying_finds_a_generation_that_another_encoder_made(
    store_folder, bundle_folder
) -> None:
    bundle, reader = open_current(StorePaths(store_folder))

    verify(reader, open_codec(bundle_folder, bundle))

    with pytest.raises(BadGeneration, match="item `B001` in row 0: expected the bytes"):
        verify(reader, ItemCodec(WordEncoder(bundle.dim), bundle))


def test_the_command_prints_what_it_did(bundle_folder, tmp_path) -> None:
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE[:5])
    options = ["--bundle", bundle_folder, "--items", items, "--store", tmp_path / "store"]

    shown = CliRunner().invoke(app, [*map(str, options), "--workers", "1"])

    assert shown.exit_code == 0, shown.output
    lines = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert lines["items"] == "5"
    assert lines["generation"] == read_current(StorePaths(tmp_path / "store")).generation
