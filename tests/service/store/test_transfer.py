"""A generation travels as one archive, and two are compared by content."""

import tarfile

import pytest
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.errors import BadGeneration, BadInput
from relevance.generation import EMBEDDINGS, StorePaths, read_current
from service.refresh.refresh import refresh
from service.store.commands import app
from service.store.delta_log import append_changes
from service.store.difference import compare_generations
from service.store.publish import writing
from service.store.transfer import export_generation, import_generation
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.store.keeping import damage, read
from tests.service.test_store_deltas import make_changes


def test_a_generation_travels_with_its_deltas_and_bundle(store, bundle, tmp_path) -> None:
    append_changes(
        store, make_changes(bundle, [Item("x", "oak")], ["B001"]), bundle_id=bundle.bundle_id
    )
    current = read_current(store).generation
    export_generation(store, current, tmp_path / "g.tar")
    other = StorePaths(tmp_path / "other")

    shown = CliRunner().invoke(
        app, ["import", str(tmp_path / "g.tar"), "--store", str(other.root), "--publish"]
    )

    assert shown.exit_code == 0, shown.output
    assert read_current(other) == read_current(store)
    found = compare_generations(read(store), read(other))
    assert (found.added, found.removed, found.changed_rows) == (0, 0, 0)
    assert read(other).sequence == 2
    with writing(other), pytest.raises(BadInput, match=f"has a generation {current} already"):
        import_generation(other, tmp_path / "g.tar")


def test_an_archive_with_a_flipped_bit_or_a_foreign_name_is_not_taken_in(store, tmp_path) -> None:
    current = read_current(store).generation
    damage(store.generation(current) / EMBEDDINGS, at=9)
    export_generation(store, current, tmp_path / "bad.tar")
    with tarfile.open(tmp_path / "foreign.tar", "w") as archive:
        archive.add(store.current, "generation/../../CURRENT")
    (tmp_path / "none.tar").write_bytes(b"no archive")
    other = StorePaths(tmp_path / "other")

    for name, fault, message in (
        ("bad", BadGeneration, EMBEDDINGS),
        ("foreign", BadInput, "expected no `generation/../../CURRENT`"),
        ("none", BadInput, r"expected an archive of `ellm store export`: file could not .*\w$"),
        ("absent", BadInput, "absent.tar: expected an archive of `ellm store export`, found none"),
    ):
        with writing(other), pytest.raises(fault, match=message):
            import_generation(other, tmp_path / f"{name}.tar")
    assert not list(other.generations.glob("*"))


def test_generations_are_compared_by_content(two, bundle_folder, tmp_path) -> None:
    store, first, _ = two
    items = [
        Item("B001", "Other"),
        Item("B002", CATALOGUE[1].title, brand="x"),
        Item("n", "Lamp"),
        *CATALOGUE[3:],
    ]
    file = write_catalogue(tmp_path / "items.jsonl", items)
    refresh(bundle=bundle_folder, items=file, store=store.root)

    found = compare_generations(read(store, first), read(store))

    assert (found.added, found.removed, found.changed_rows) == (1, 1, 0)
    assert found.changed_text + found.changed_fields == 2
    assert (found.examples["added"], found.examples["removed"]) == (("n",), ("B003",))
