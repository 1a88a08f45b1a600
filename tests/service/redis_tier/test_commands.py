"""The commands as an operator runs them, one after the other, against a real redis-server."""

import json
import shutil
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from relevance.generation import StorePaths, read_current
from service.redis_tier.commands import app
from tests.service.conftest import CATALOGUE
from tests.service.redis_tier.redis_server import redis_server
from tests.service.redis_tier.stores import current_reader

pytestmark = [pytest.mark.slow, pytest.mark.network]


def run(port: int, *words: object) -> dict[str, str]:
    options = ["--redis", f"redis://127.0.0.1:{port}"]
    shown = CliRunner().invoke(app, [*map(str, words), *options])
    assert shown.exit_code == 0, (shown.output, shown.exception)
    return dict(line.split(maxsplit=1) for line in shown.stdout.splitlines() if " " in line)


@pytest.fixture
def root(store_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


def test_load_fill_watch_and_follow_bring_two_machines_to_the_same_items(
    root, bundle_folder, tmp_path
) -> None:
    replica = tmp_path / "replica"
    with redis_server(tmp_path) as port:
        loaded = run(port, "load", "--store", root, "--live")
        filled = run(port, "fill", "--store", replica, "--bundle", bundle_folder)
        shown = run(port, "status")
        client = redis.Redis(port=port)
        client.xadd(
            "ellm:catalogue", {"item": json.dumps({"item_id": "B001", "title": "Oak lamp"})}
        )
        client.xadd("ellm:catalogue", {"delete": "B002"})
        run(port, "watch", "--store", root, "--once")
        run(port, "follow", "--store", replica, "--once")

        here, there = current_reader(root), current_reader(replica)
        assert loaded["written"] == filled["items"] == str(len(CATALOGUE))
        assert shown["live"] == read_current(StorePaths(root)).generation
        for reader in (here, there):
            assert reader.rows_of(["B002"])[0] == -1
            assert reader.item(int(reader.rows_of(["B001"])[0])).title == "Oak lamp"
        assert contents(here) == contents(there)


def contents(reader) -> dict[str, tuple]:
    rows = reader.live_rows()
    ids = reader.item_ids(rows)
    items = reader.items(rows.tolist())
    counts, cut = reader.token_counts[rows].tolist(), reader.truncated[rows].tolist()
    return {
        item_id: (items[at], reader.arena[row].tobytes(), counts[at], cut[at])
        for at, (item_id, row) in enumerate(zip(ids, rows.tolist(), strict=True))
    }


def test_a_dry_run_of_load_writes_nothing(root, tmp_path) -> None:
    with redis_server(tmp_path) as port:
        shown = run(port, "load", "--store", root, "--dry-run")

        assert "MiB" in shown["needed"]
        assert redis.Redis(port=port).dbsize() == 0


def test_a_redis_that_evicts_is_warned_of(root, tmp_path) -> None:
    with redis_server(
        tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"
    ) as port:
        shown = run(port, "load", "--store", root)

    assert "noeviction" in shown["warning"]


def test_filling_from_a_redis_without_records_leaves_the_store_as_it_was(
    root, bundle_folder, tmp_path
) -> None:
    before = StorePaths(root).current.read_bytes()
    with redis_server(tmp_path) as port:
        options = ["--redis", f"redis://127.0.0.1:{port}"]
        words = ["fill", "--store", str(root), "--bundle", str(bundle_folder)]

        shown = CliRunner().invoke(app, [*words, *options])

    assert "no record of bundle" in str(shown.exception)
    assert StorePaths(root).current.read_bytes() == before
