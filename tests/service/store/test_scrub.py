"""Scrubbing finds damage, sets a generation aside and returns to the one before."""

import pytest

from relevance.domain import Item
from relevance.errors import BadGeneration
from relevance.generation import EMBEDDINGS, TOKEN_COUNTS, read_current, read_manifest
from service.store.delta_log import append_changes, segment_files
from service.store.region import ALIGNMENT
from service.store.retention import quarantine
from service.store.scrub import scrub, scrub_current
from tests.service.conftest import CATALOGUE
from tests.service.store.keeping import damage, read
from tests.service.test_store_deltas import make_changes


def test_scrubbing_finds_what_opening_no_longer_looks_for(two) -> None:
    """Size, inode and time are as they were, so that only reading tells."""
    store, _, current = two
    assert scrub(store, current).damage is None
    damage(store.generation(current) / TOKEN_COUNTS, at=3)

    found = scrub(store, current)

    assert found.damage is not None
    assert TOKEN_COUNTS in found.damage


def test_scrubbing_keeps_to_its_rate(two) -> None:
    store, _, current = two
    waits: list[float] = []

    found = scrub(store, current, bytes_per_second=1000, wait=waits.append)

    assert sum(waits) == pytest.approx(found.bytes / 1000)
    assert found.bytes == sum(read_manifest(store.generation(current)).sizes.values())


def test_a_damaged_generation_is_set_aside_and_the_one_before_answers(two, caplog) -> None:
    store, first, current = two
    damage(store.generation(current) / EMBEDDINGS, at=100)

    found = scrub_current(store, wait=lambda seconds: None)

    assert found.damage is not None
    assert read_current(store).generation == first
    assert not store.generation(current).exists()
    assert (store.quarantine(current) / EMBEDDINGS).is_file()
    assert f"returned to generation {first}" in caplog.text
    assert read(store).live_rows().size == len(CATALOGUE)


def test_a_damaged_delta_counts_as_damage(two, bundle) -> None:
    store, _, current = two
    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    damage(segment_files(store.deltas(current))[0].path, at=ALIGNMENT + 3)

    assert scrub(store, current).damage is not None


def test_the_only_generation_is_not_set_aside(store) -> None:
    current = read_current(store).generation

    with pytest.raises(BadGeneration, match="expected a sound generation before"):
        quarantine(store, current)

    assert read_current(store).generation == current
    assert read(store).generation_id == current
