"""The load tools against a real service over a small store, each as its command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.own_service import copied_store, item_bytes, own_service
from loadtest.stretch import run_stretch
from loadtest.traffic import Mixture, only_score, read_traffic, requests
from relevance.generation import StorePaths, read_current
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle

pytestmark = pytest.mark.slow
UNHURRIED = "60000"  # ms: neighbours may take all cores, and nothing here measures them


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store and the prefix of its data."""
    folder = tmp_path_factory.mktemp("shop")
    make_bundle(folder / "bundle")
    items = write_catalogue(folder / "shop_items.jsonl", [item for item in CATALOGUE if item.title])
    (folder / "shop_pairs.csv").write_text("query,item_id,label\nred lamp,B001,Good\n")
    refresh(bundle=folder / "bundle", items=items, store=folder / "store")
    return folder / "store", folder / "shop"


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "relevance", "bench", *map(str, words)]
    environment = {**os.environ, "ELLM_MAX_WAIT_MS": UNHURRIED}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_stretch_counts_what_the_service_itself_counted(shop, tmp_path: Path) -> None:
    store, data = shop
    stream = requests(read_traffic(data), only_score(20), seed=1)

    with own_service(store, tmp_path, settings={"max_wait_ms": UNHURRIED}) as server:
        stretch = run_stretch("x", server, stream, per_second=40, seconds=2)
        memory, files = server.private_mb(), server.open_files()

    assert (stretch.sent, stretch.failed, stretch.refused) == (80, 0, 0)
    assert stretch.statuses == {"200": 80}
    assert stretch.hit_rate == 0.0
    assert {"encode", "score", "fetch", "serialise"} <= stretch.stage_ms.keys()
    assert sum(stretch.stage_ms.values()) < stretch.times.most
    assert stretch.server_cpu > 0
    assert memory > 10
    assert files > 5


def test_every_kind_of_the_mixture_is_answered(shop, tmp_path: Path) -> None:
    store, data = shop
    stream = requests(read_traffic(data), Mixture(missing=0.2), seed=5)

    with own_service(store, tmp_path, settings={"max_wait_ms": UNHURRIED}) as server:
        stretch = run_stretch("x", server, stream, per_second=60, seconds=4)

    assert stretch.failed == 0
    assert len(stretch.by_kind) >= 6


def test_a_copied_store_is_served_and_the_original_stays(shop, tmp_path: Path) -> None:
    store, _ = shop
    before = read_current(StorePaths(store))

    copy = copied_store(store, tmp_path / "copy")

    assert read_current(StorePaths(copy)) == before
    assert item_bytes(copy) == item_bytes(store) > 0


def test_a_load_run_passes_its_gate_leaves_reports_and_changes_the_copy_alone(
    shop, tmp_path: Path
) -> None:
    store, data = shop
    before = read_current(StorePaths(store))
    options = ("--store", store, "--data", data, "--out", tmp_path, "--p99-ms", UNHURRIED)
    short = ("--seconds", 5, "--per-second", 8, "--users", 2, "--user-rate", 2, "--refused", 1)

    run = bench("load", *options, *short)

    assert run.returncode == 0, run.stderr + run.stdout
    told = json.loads((tmp_path / "load.json").read_text())
    assert [one["name"] for one in told["stretches"]][-2:] == ["teacher slow", "teacher gone"]
    assert all(one["failed"] == 0 for one in told["stretches"])
    assert "Held" in (tmp_path / "report.html").read_text()
    assert "score 100" in (tmp_path / "locust.html").read_text()
    assert read_current(StorePaths(store)) == before


def test_two_local_locust_workers_share_the_users_and_report_as_one(shop, tmp_path: Path) -> None:
    store, data = shop
    locust = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless"]
    users = ["--processes", "2", "--users", "4", "--spawn-rate", "4", "--run-time", "20s"]
    report = ["--html", str(tmp_path / "locust.html"), "--csv", str(tmp_path / "locust")]

    with own_service(store, tmp_path, settings={"max_wait_ms": UNHURRIED}) as server:
        host = ["--host", f"http://127.0.0.1:{server.port}", "--data", str(data)]
        run = subprocess.run(
            [*locust, *users, *report, *host], capture_output=True, text=True, check=False
        )

    assert run.returncode == 0, run.stderr
    total = (tmp_path / "locust_stats.csv").read_text().splitlines()[-1].split(",")
    assert total[1] == "Aggregated"
    assert int(total[2]) > 0
    assert int(total[3]) == 0
    history = (tmp_path / "locust_stats_history.csv").read_text().splitlines()
    assert "4" in {line.split(",")[1] for line in history}  # users, of both workers together


def test_a_load_run_that_does_not_hold_its_slo_exits_with_the_gates_code(
    shop, tmp_path: Path
) -> None:
    store, data = shop
    options = ("--store", store, "--data", data, "--out", tmp_path, "--p99-ms", 1)

    run = bench("load", *options, "--seconds", 2, "--per-second", 4, "--users", 1)

    assert run.returncode == 4
    assert "expected at most 1 ms" in run.stderr
    assert "Not held" in (tmp_path / "report.html").read_text()


def test_capacity_is_searched_and_a_plan_is_made_of_it(shop, tmp_path: Path) -> None:
    store, data = shop
    options = ("--store", store, "--data", data, "--out", tmp_path, "--p99-ms", UNHURRIED)
    short = ("--seconds", 1, "--first", 20, "--steps", 0, "--candidates", 50, "--refused", 1)

    found = bench("capacity", *options, *short)

    assert found.returncode == 0, found.stderr
    told = json.loads((tmp_path / "capacity.json").read_text())
    assert told["constants"].keys() >= {"candidate_us", "item_bytes", "worker_mb", "item_cpu_ms"}
    assert (tmp_path / "capacity.svg").read_text().startswith("<?xml")
    sizes = ("--items", "1e6", "--qps", "100", "--candidates", "500")
    given = [f"--constant={name}={value}" for name, value in POSITIVE.items()]
    plan = bench("plan", *sizes, "--measured", tmp_path / "capacity.json", *given)
    assert plan.returncode == 0, plan.stderr
    assert "replicas" in plan.stdout
    assert "given" in plan.stdout


# what a service this small may not show: its costs drown in those of a request
POSITIVE = {"fixed_ms": 2.0, "candidate_us": 1.0, "utilisation": 0.5, "redis_item_bytes": 5000.0}


def test_a_soak_counts_refreshes_and_swaps_and_holds(shop, tmp_path: Path) -> None:
    store, data = shop
    options = ("--store", store, "--data", data, "--out", tmp_path, "--per-second", 10)
    loose = ("--p99-ratio", 1000, "--growth-mb", 1e6, "--files", 1000, "--candidates", 20)

    often = ("--seconds", 10, "--refresh-every", 1, "--swap-every", 1)

    run = bench("soak", *options, *loose, *often)

    assert run.returncode == 0, run.stderr
    told = json.loads((tmp_path / "soak.json").read_text())
    assert told["failed"] == 0
    assert told["refreshes"] >= 1
    assert told["swaps"] >= 2
    assert told["samples"]
    assert (tmp_path / "soak.svg").exists()


def test_scaling_goes_on_where_it_stopped(shop, tmp_path: Path) -> None:
    store, data = shop
    options = ("--store", store, "--data", data, "--out", tmp_path)
    series = ("--only", "engine: query tokens", "--parts", "points")

    first = bench("scaling", *options, *series)
    again = bench("scaling", *options, *series)

    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert first.stderr.count("engine: query tokens") == 7
    assert again.stderr.count("engine: query tokens") == 0
    assert (tmp_path / "scaling-tokens.svg").exists()
    assert "engine: query tokens" in again.stdout


def test_peers_that_need_no_model_are_measured_and_others_say_why_they_are_not(
    shop, tmp_path: Path
) -> None:
    store, data = shop
    options = ("--store", store, "--data", data, "--out", tmp_path)

    peers = bench("peers", *options, "--only", "pooled,infinity", "--rounds", 1)

    assert peers.returncode == 0, peers.stderr
    told = json.loads((tmp_path / "peers.json").read_text())
    assert [row["name"] for row in told["rows"]] == ["service", "pooled"]
    assert "was not given" in told["absent"]["infinity"]
    assert all(row["pairs_per_second"] > 0 for row in told["rows"])
