"""Stores of every released format are read."""

import shutil
from pathlib import Path

from relevance.bundle import read_bundle
from relevance.domain import Item
from relevance.generation import EMBEDDINGS, StorePaths, read_current
from service.refresh.plan import Options
from service.refresh.refresh import refresh
from service.store.delta_log import append_changes
from service.store.scrub import scrub
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.store.keeping import damage, read
from tests.service.test_store_deltas import make_changes

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_format_1_is_still_read(tmp_path) -> None:
    """A store of format 1 answers, takes deltas and is refreshed to format 2."""
    shutil.copytree(FIXTURES / "generation-1", tmp_path / "store")
    store = StorePaths(tmp_path / "store")
    reader = read(store)
    assert reader.manifest.format == "relevance-generation/1"
    bundle = read_bundle(store.bundle(read_current(store).bundle))
    assert reader.items(range(6)) == [*CATALOGUE[:5], Item("Ω-6", "Water bottle 24oz")]
    assert reader.rows_of(["B003", "Ω-6", "x"]).tolist() == [2, 5, -1]

    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    assert reader.latest().rows_of(["x"])[0] > 5
    damage(store.generation(reader.generation_id) / EMBEDDINGS)

    found = scrub(store, reader.generation_id)
    assert found.damage is not None
    assert "SHA-256" in found.damage


def test_format_2_is_read_with_its_deltas(tmp_path) -> None:
    shutil.copytree(FIXTURES / "generation-2", tmp_path / "store")
    store = StorePaths(tmp_path / "store")

    reader = read(store)

    assert reader.manifest.format == "relevance-generation/2"
    assert reader.sequence == 2
    assert reader.rows_of(["B001", "B003"]).tolist() == [-1, 2]
    new = int(reader.rows_of(["new"])[0])
    assert reader.item(new) == Item("new", "Oak lamp")
    assert (reader.token_counts[new], reader.token_counts[4]) == (2, 0)
    assert scrub(store, reader.generation_id).damage is None
    bundle = store.bundle(read_current(store).bundle)
    items = write_catalogue(tmp_path / "i.jsonl", [*CATALOGUE[1:6], Item("new", "Oak lamp")])
    report = refresh(bundle=bundle, items=items, store=store.root, options=Options(delta_share=9))
    assert report.plan.differences.changes == 0
