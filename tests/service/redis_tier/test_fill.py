"""Filling and loading: a generation goes into Redis and comes out of it as it was."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from relevance.domain import Item
from relevance.errors import Unavailable
from relevance.generation import StorePaths, read_current
from service.redis_tier.fill import fill
from service.redis_tier.generation_source import live_count, ready_items
from service.redis_tier.load import load
from service.redis_tier.replica import open_replica
from service.redis_tier.tier import deletion
from service.store.delta_log import append_changes
from service.store.segment import Changes
from tests.service.redis_tier.stores import codec_of, current_reader


@pytest.fixture
def generation(store_folder: Path, tmp_path: Path, bundle_folder, bundle):
    """A base with a delta that changes one item, adds one and removes one."""
    shutil.copytree(store_folder, tmp_path / "source")
    codec = codec_of(bundle_folder, bundle)
    items = [Item("B001", "oak lamp"), Item("new", "red shoe", attributes=(("a", "b"),))]
    texts = [codec.text(item) for item in items]
    changes = Changes.of(items, codec.encode(texts), texts, ["B002"])
    append_changes(StorePaths(tmp_path / "source"), changes, bundle_id=bundle.bundle_id)
    return current_reader(tmp_path / "source")


def load_all(tier, generation) -> None:
    load(
        tier,
        ready_items(generation),
        items=live_count(generation),
        announce=False,
    )


def rows_by_id(reader) -> dict[str, tuple[bytes, int, int, Item, tuple[int, ...]]]:
    rows = reader.live_rows()
    return {
        item_id: (
            reader.arena[row].tobytes(),
            int(reader.token_counts[row]),
            int(reader.truncated[row]),
            reader.item(row),
            tuple(reader.content_hashes(np.array([row]))[0].tolist()),
        )
        for item_id, row in zip(reader.item_ids(rows), rows.tolist(), strict=True)
    }


def test_a_filled_store_holds_what_the_loaded_one_did_deltas_included(
    tier, generation, bundle_folder, tmp_path
) -> None:
    load_all(tier, generation)

    report = fill(tier, tmp_path / "filled", bundle_folder)

    filled = current_reader(tmp_path / "filled")
    assert report.left_out == 0
    assert rows_by_id(filled) == rows_by_id(generation)
    assert filled.generation_id == report.generation_id


def test_a_filled_replica_follows_from_where_it_was_filled(
    tier, generation, bundle_folder, bundle, tmp_path
) -> None:
    load_all(tier, generation)
    fill(tier, tmp_path / "filled", bundle_folder)

    step = open_replica(tier, tmp_path / "filled", bundle).step(wait_ms=0)

    assert step.entries == 0


def test_deleted_and_damaged_records_are_left_out_and_only_the_damaged_are_counted(
    tier, generation, bundle_folder, tmp_path, client
) -> None:
    load_all(tier, generation)
    tier.write([deletion(tier.shape, "lamp-1", source_version=2**62)])
    client.setrange(tier.keys.rows(tier.shape.bundle_id, "lamp-2"), 50, b"\x00\x01\x02")

    report = fill(tier, tmp_path / "filled", bundle_folder)

    filled = current_reader(tmp_path / "filled")
    assert report.left_out == 1
    assert filled.rows_of(["lamp-1", "lamp-2"]).tolist() == [-1, -1]
    assert report.items == live_count(generation) - 2


def test_a_redis_without_records_fills_nothing(tier, bundle_folder, tmp_path) -> None:
    with pytest.raises(Unavailable, match="no record of bundle"):
        fill(tier, tmp_path / "filled", bundle_folder)

    assert not StorePaths(tmp_path / "filled").current.exists()


def test_a_full_store_that_is_filled_again_switches_only_when_all_is_there(
    tier, generation, bundle_folder, dead_tier, tmp_path
) -> None:
    load_all(tier, generation)
    fill(tier, tmp_path / "filled", bundle_folder)
    before = read_current(StorePaths(tmp_path / "filled"))

    with pytest.raises(Unavailable):
        fill(dead_tier, tmp_path / "filled", bundle_folder)

    assert read_current(StorePaths(tmp_path / "filled")) == before
