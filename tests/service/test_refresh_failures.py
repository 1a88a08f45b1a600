"""Damage, failures and full disks: what is current stays, and the next refresh completes."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from relevance.domain import Item
from relevance.errors import BadGeneration, BadInput, Unavailable
from relevance.generation import EMBEDDINGS, StorePaths, read_current
from service.fakes import WordEncoder
from service.item_codec import ItemCodec
from service.refresh.encode import open_codec
from service.refresh.plan import Extent, Options
from service.refresh.process_pool import open_processes
from service.refresh.refresh import refresh
from service.refresh.verify import verify
from service.store.publish import writing
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.shown import read, shown

ALL = Options(extent=Extent.ALL)


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut_short, flip_a_bit, Path.unlink])
def test_a_damaged_generation_is_not_read_from_and_the_next_run_makes_a_sound_one(
    own_store, store_folder, bundle_folder, bundle, catalogue_file, harm
) -> None:
    paths = StorePaths(own_store)
    harm(paths.generation(read_current(paths).generation) / EMBEDDINGS)
    with pytest.raises(BadGeneration, match=EMBEDDINGS):
        read(own_store, bundle)

    report = refresh(bundle=bundle_folder, items=catalogue_file, store=own_store)

    assert report.damage is not None
    assert EMBEDDINGS in report.damage
    assert report.encoded == len(CATALOGUE)
    assert shown(read(own_store, bundle)) == shown(read(store_folder, bundle))


def failing_after_one(groups, items):
    yield next(iter(groups))
    raise BadInput("a wrong row")


def flipping_a_bit(groups, items):
    for group in groups:
        encoded = replace(group.encoded, embeddings=group.encoded.embeddings ^ 1)
        yield replace(group, encoded=encoded)


@pytest.mark.parametrize("options", [ALL, Options()])
@pytest.mark.parametrize(
    ("progress", "fault", "message"),
    [
        (failing_after_one, BadInput, "a wrong row"),
        (flipping_a_bit, BadGeneration, "expected the bytes of encoding it again"),
    ],
)
def test_a_failure_leaves_what_is_current_and_the_next_run_completes(
    own_store, bundle_folder, bundle, tmp_path, progress, fault, message, options
) -> None:
    before = StorePaths(own_store).current.read_bytes()
    showed = shown(read(own_store, bundle))
    folders = sorted((own_store / "generations").iterdir())
    changed = [Item("B001", "Other"), *CATALOGUE[1:]]
    items = write_catalogue(tmp_path / "items.jsonl", changed)

    with pytest.raises(fault, match=message):
        refresh(
            bundle=bundle_folder,
            items=items,
            store=own_store,
            options=options,
            progress=progress,
        )

    assert StorePaths(own_store).current.read_bytes() == before
    assert sorted((own_store / "generations").iterdir()) == folders
    assert shown(read(own_store, bundle)) == showed
    refresh(bundle=bundle_folder, items=items, store=own_store, options=options)
    assert shown(read(own_store, bundle))["B001"][0].title == "Other"


def test_an_encoding_process_that_dies_is_told_and_not_waited_for(bundle_folder, bundle) -> None:
    with open_processes(bundle_folder, bundle, lanes=2) as pool:
        pool.submit(["oak"])()
        for process in multiprocessing.active_children():
            process.kill()
        with pytest.raises(Unavailable, match="an encoding process died"):
            pool.submit(["oak"])()


def full_disk(groups, items):
    yield next(iter(groups))
    raise OSError(28, "No space left on device")


def test_a_catalogue_without_any_text_to_encode_is_refused(
    own_store, bundle_folder, tmp_path
) -> None:
    """A file of pairs has item ids, too; publishing it would take every item's text away."""
    before = read_current(StorePaths(own_store))
    items = write_catalogue(tmp_path / "items.jsonl", [Item(one.item_id, "") for one in CATALOGUE])

    with pytest.raises(
        BadInput, match=rf"this bundle reads: title, brand, color.*{len(CATALOGUE)} items"
    ):
        refresh(bundle=bundle_folder, items=items, store=own_store)

    assert read_current(StorePaths(own_store)) == before


def test_a_full_disk_is_unavailable(bundle_folder, catalogue_file, tmp_path) -> None:
    with pytest.raises(Unavailable, match="cannot be written: .* No space left on device"):
        refresh(bundle=bundle_folder, items=catalogue_file, store=tmp_path, progress=full_disk)


def test_a_refresh_is_refused_while_another_writes(
    own_store, bundle_folder, catalogue_file
) -> None:
    with (
        writing(StorePaths(own_store)),
        pytest.raises(Unavailable, match="another writer holds this store"),
    ):
        refresh(bundle=bundle_folder, items=catalogue_file, store=own_store)


def test_verifying_finds_a_generation_that_another_encoder_made(
    store_folder, bundle_folder, bundle
) -> None:
    reader = read(store_folder, bundle)

    verify(reader, open_codec(bundle_folder, bundle))

    with pytest.raises(BadGeneration, match="item `B001` in row 0: expected the bytes"):
        verify(reader, ItemCodec(WordEncoder(bundle.dim), bundle))
