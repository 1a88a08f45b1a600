"""Which generations stay, and which one can be returned to."""

import pytest

from relevance.domain import Item
from relevance.errors import BadGeneration, BadInput
from relevance.generation import ID_HASHES, read_current
from service.refresh.refresh import refresh
from service.refresh.rollout import roll_out
from service.store.delta_log import append_changes
from service.store.publish import writing
from service.store.retention import collect_garbage, held_generations, roll_back
from tests.service.make_bundle import make_bundle
from tests.service.store.keeping import ALL, read
from tests.service.test_store_deltas import make_changes


def test_rolling_back_passes_over_a_damaged_generation(two, bundle_folder, catalogue_file) -> None:
    store, first, second = two
    refresh(bundle=bundle_folder, items=catalogue_file, store=store.root, options=ALL)
    (store.generation(second) / ID_HASHES).write_bytes(b"short")

    assert roll_back(store).generation == first
    with pytest.raises(BadGeneration, match="expected a sound generation before"):
        roll_back(store)
    with pytest.raises(BadInput, match="expected a generation it holds, got `none`"):
        roll_back(store, to="none")


def test_garbage_collection_keeps_the_current_one_and_as_many_as_asked(
    two, bundle_folder, bundle, catalogue_file, tmp_path
) -> None:
    store, first, second = two
    other = make_bundle(tmp_path / "other", seed=3)
    roll_out(bundle=tmp_path / "other", store=store.root)
    third = read_current(store).generation
    roll_back(store, to=second)
    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    reader = read(store, first)
    (store.root / "faiss" / first).mkdir(parents=True)

    with writing(store):
        assert collect_garbage(store, keep=1) == [first]
        assert collect_garbage(store, keep=0) == [third]

    assert [held.manifest.generation_id for held in held_generations(store)] == [second]
    assert not (store.root / "faiss" / first).exists()
    assert not store.bundle(other.bundle_id).exists()
    assert store.deltas(second).exists()
    assert reader.item(0).item_id == "B001"
