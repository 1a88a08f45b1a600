"""`ellm bench lag` sees every change scored, through real processes, and leaves the store alone."""

import json
from itertools import permutations

import pytest
from typer import Typer
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.errors import Unavailable
from service.redis_tier.bench_scoreable import measure_scoreable
from service.redis_tier.lag_command import lag_command
from service.refresh.refresh import refresh
from tests.service.conftest import write_catalogue

WORDS = ("oak", "steel", "red", "lamp", "desk")
ITEMS = [Item(f"i{at}", " ".join(words)) for at, words in enumerate(permutations(WORDS, 3))]


@pytest.fixture
def varied(bundle_folder, tmp_path):
    """A store of items whose titles differ."""
    items = write_catalogue(tmp_path / "items.jsonl", ITEMS)
    refresh(bundle=bundle_folder, items=items, store=tmp_path / "varied")
    return tmp_path / "varied"


@pytest.mark.slow
@pytest.mark.network
def test_changes_are_told_and_scored_and_the_store_stays_as_it_was(varied, tmp_path) -> None:
    before = {path: path.read_bytes() for path in varied.rglob("*") if path.is_file()}
    app = Typer()
    app.command()(lag_command)
    words = ["--store", varied, "--changes", "8", "--rate", "10", "--out", tmp_path / "out"]

    done = CliRunner().invoke(app, [str(word) for word in words])

    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out" / "lag.json").read_text())
    assert figures["changes"] == 8
    assert 0 < figures["p50"] <= figures["p99"] <= figures["most"]
    assert "told → scored" in (tmp_path / "out" / "lag.txt").read_text()
    assert {path: path.read_bytes() for path in varied.rglob("*") if path.is_file()} == before


@pytest.mark.slow
@pytest.mark.network
def test_more_changes_than_items_are_refused(varied) -> None:
    with pytest.raises(Unavailable, match="expected 201 items to change, found"):
        measure_scoreable(varied, changes=200, rate=10, workers=1, watch_interval_s=0.25)
