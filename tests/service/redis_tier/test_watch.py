"""The watcher: a shop's change becomes scoreable here and a record in Redis, or is told."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from relevance.domain import Item
from relevance.generation import StorePaths
from service.redis_tier.changes import START, ChangeStream
from service.redis_tier.tier import RedisTier
from service.redis_tier.watch import POSITION, Watcher
from tests.service.redis_tier.stores import codec_of, current_reader, put


@pytest.fixture
def root(store_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def watcher(tier: RedisTier, root: Path, bundle_folder, bundle) -> Watcher:
    return Watcher(tier, StorePaths(root), codec_of(bundle_folder, bundle))


def tell(tier: RedisTier, **fields) -> None:
    if "item" in fields:
        fields["item"] = json.dumps(fields["item"])
    tier.door.append(tier.keys.catalogue, [fields], keep=1000)


DESK = {"item_id": "B001", "title": "Ｏak  desk", "color": "blue", "attributes": {"size": 42}}


def test_a_changed_item_is_encoded_written_appended_and_announced(
    tier, watcher, root, bundle_folder, bundle
) -> None:
    tell(tier, item=DESK)

    step = watcher.step(wait_ms=0)

    item = Item("B001", "Oak desk", color="blue", attributes=(("size", "42"),))
    codec = codec_of(bundle_folder, bundle)
    expected = codec.encode([codec.text(item)]).embeddings
    reader = current_reader(root)
    row = int(reader.rows_of(["B001"])[0])
    announced = ChangeStream(tier.door, tier.keys.changes(bundle.bundle_id))
    assert (step.put, step.removed, step.sequence) == (1, 0, reader.sequence)
    assert np.array_equal(reader.arena[[row]], expected)
    assert reader.item(row) == item
    assert np.array_equal(tier.rows(["B001"]).rows, expected)
    assert [e.fields for e in announced.after(START, count=9, wait_ms=0)] == [{"id": b"B001"}]


def test_a_deleted_item_is_gone_here_and_there(tier, watcher, root) -> None:
    tell(tier, delete="B001")

    step = watcher.step(wait_ms=0)

    assert step.removed == 1
    assert current_reader(root).rows_of(["B001"])[0] == -1
    assert tier.rows(["B001"]).is_deleted[0]


def test_of_several_changes_to_an_item_the_newest_version_counts(tier, watcher, root) -> None:
    tell(tier, item=DESK | {"title": "third"}, version=3)
    tell(tier, item=DESK | {"title": "second"}, version=2)

    step = watcher.step(wait_ms=0)

    reader = current_reader(root)
    assert (step.entries, step.put) == (2, 1)
    assert reader.item(int(reader.rows_of(["B001"])[0])).title == "third"


def test_a_change_older_than_the_record_in_redis_changes_nothing(
    tier, watcher, root, bundle_folder, bundle
) -> None:
    put(tier, codec_of(bundle_folder, bundle), [Item("B001", "newer")], version=2**62)
    before = current_reader(root).sequence
    tell(tier, item=DESK)

    step = watcher.step(wait_ms=0)

    assert (step.put, step.outdated) == (0, 1)
    assert current_reader(root).sequence == before


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"item": "{half"}, "expected a JSON object"),
        ({"item": json.dumps({"title": "no id"})}, "expected a JSON object with `item_id`"),
        ({"item": json.dumps({"item_id": ""})}, "expected a text, got ''"),
        ({"item": json.dumps({"item_id": "a", "title": 7})}, "title is no text"),
        ({"item": json.dumps({"item_id": "a"}), "version": "-1"}, "version: expected 0 to"),
        ({"item": json.dumps({"item_id": "a"}), "delete": "a"}, "either `item` or `delete`"),
        ({"what": "ever"}, "either `item` or `delete`"),
    ],
)
def test_what_is_no_event_is_put_aside_with_the_reason_and_holds_nothing_up(
    tier, watcher, fields, reason
) -> None:
    tier.door.append(tier.keys.catalogue, [fields], keep=9)
    tell(tier, item=DESK)

    step = watcher.step(wait_ms=0)

    (told,) = tier.door.read("ellm:catalogue:refused", after=START, count=9, wait_ms=0)
    assert (step.refused, step.put) == (1, 1)
    assert reason in told.fields["reason"].decode()


def test_a_watcher_that_died_before_it_kept_its_place_ends_in_the_same_state(
    tier, watcher, root
) -> None:
    tell(tier, item=DESK)
    watcher.step(wait_ms=0)
    before = current_reader(root)

    (root / POSITION).unlink()
    watcher.step(wait_ms=0)

    after = current_reader(root)
    rows = [int(reader.rows_of(["B001"])[0]) for reader in (before, after)]
    assert np.array_equal(before.arena[rows[0]], after.arena[rows[1]])
    assert len(before.live_rows()) == len(after.live_rows())


def test_it_starts_with_what_changed_since_its_generation_was_begun(tier, watcher, client) -> None:
    client.xadd(tier.keys.catalogue, {"delete": "B001"}, id="1000-0")  # long before
    client.xadd(tier.keys.catalogue, {"delete": "B002"}, id=f"{int(time.time() * 1000)}-0")

    step = watcher.step(wait_ms=0)

    assert step.entries == 1


def test_the_lag_of_every_change_is_counted(tier, root, bundle_folder, bundle) -> None:
    at = time.time()
    watcher = Watcher(
        tier, StorePaths(root), codec_of(bundle_folder, bundle), clock=lambda: at + 100
    )
    tell(tier, item=DESK)

    watcher.step(wait_ms=0)

    assert len(watcher.lags) == 1
    assert 90 < watcher.lags.quantile(0.99) <= 100.001  # entries' ids count whole milliseconds
