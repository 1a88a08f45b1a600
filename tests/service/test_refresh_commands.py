"""`ellm refresh`: what it plans, prints and reads, how fast it may go, and on a Ray cluster."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.generation import StorePaths, read_current
from service.refresh.commands import app
from service.refresh.encode import Pace
from service.refresh.plan import Outcome
from service.refresh.refresh import plan_refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.shown import parts_of


def test_a_plan_says_what_would_be_done_and_writes_nothing(
    own_store, bundle_folder, tmp_path
) -> None:
    changed = [
        replace(CATALOGUE[0], title="Other"),
        replace(CATALOGUE[1], description="Other"),
        *CATALOGUE[3:],
        Item("new", "Lamp"),
    ]
    items = write_catalogue(tmp_path / "items.jsonl", changed)
    before = sorted(own_store.rglob("*"))

    plan = plan_refresh(bundle=bundle_folder, items=items, store=own_store)

    found = plan.differences
    assert (found.added, found.changed_text, found.changed_fields) == (1, 1, 1)
    assert found.removed == (CATALOGUE[2].item_id,)
    assert (found.encodings, found.changes) == (2, 4)
    assert plan.outcome is Outcome.DELTA
    assert sorted(own_store.rglob("*")) == before


def test_the_pace_never_exceeds_its_rate_and_saves_up_nothing() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(10, clock=lambda: now[0], sleep=sleep)
    for _ in range(5):
        pace.take(20)
    assert now[0] == pytest.approx(8.0)
    now[0] = 100.0
    pace.take(20)
    pace.take(20)
    assert now[0] == pytest.approx(102.0)


def test_the_command_prints_what_it_did(bundle_folder, tmp_path) -> None:
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE[:5])
    options = ["--bundle", bundle_folder, "--items", items, "--store", tmp_path / "store"]
    words = [*map(str, options), "--workers", "1"]

    planned = CliRunner().invoke(app, [*words, "--dry-run"])
    done = CliRunner().invoke(app, words)
    again = CliRunner().invoke(app, words)

    lines = [
        dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
        for shown in (planned, done, again)
    ]
    assert [line["outcome"] for line in lines] == ["generation", "generation", "nothing"]
    assert lines[1]["items"] == "5 (live: none)"
    assert lines[1]["generation"] == read_current(StorePaths(tmp_path / "store")).generation


def test_the_command_reads_standard_input(bundle_folder, tmp_path) -> None:
    content = "".join(
        json.dumps({"item_id": f"i{at}", "title": "Oak lamp"}) + "\n" for at in range(3)
    )
    options = ["--bundle", bundle_folder, "--items", "-", "--store", tmp_path / "store"]

    shown = CliRunner().invoke(
        app, [*map(str, options), "--workers", "1", "--format", "jsonl"], input=content
    )

    assert shown.exit_code == 0, shown.output
    assert "written     3 " in shown.stdout


@pytest.mark.slow
def test_two_workers_of_a_ray_cluster_write_the_same_bytes(
    store_folder, bundle_folder, catalogue_file, tmp_path
) -> None:
    """In a process of its own: Ray's threads and warnings are not this suite's."""
    words = ["--bundle", bundle_folder, "--items", catalogue_file, "--store", tmp_path / "store"]

    run = subprocess.run(
        [sys.executable, "-m", "relevance", "refresh", *map(str, words), "--ray", "local"]
        + ["--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert parts_of(tmp_path / "store") == parts_of(store_folder)


def test_a_folder_to_leave_the_outcome_in_is_refused_before_anything_is_encoded(
    own_store, bundle_folder, catalogue_file, tmp_path
) -> None:
    before = read_current(StorePaths(own_store))
    told = ("--bundle", bundle_folder, "--items", catalogue_file, "--store", own_store, "--full")

    shown = CliRunner().invoke(app, [*map(str, told), "--metrics-file", str(tmp_path)])

    assert shown.exit_code == 2
    assert "--metrics-file" in shown.output
    assert read_current(StorePaths(own_store)) == before
