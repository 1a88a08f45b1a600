import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from relevance.generation import Current, StorePaths, read_current, switch_current
from service.api_keys import Scope, make_key, write_keys
from service.current_watch import STAYED
from service.refresh.refresh import refresh
from service.serve_commands import check_port_is_free
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.live_service import (
    HOST,
    PATIENCE,
    Expected,
    LiveService,
    body_of,
    eventually,
    live_service,
    load,
    switch,
)
from tests.service.make_bundle import make_bundle

pytestmark = pytest.mark.slow
REFUSED = 'relevance_refused_total{code="overloaded"}'
ANSWERED = 'relevance_requests_total{route="/score",status="200"}'


@pytest.fixture
def store(store_folder, tmp_path) -> StorePaths:
    shutil.copytree(store_folder, tmp_path / "store")
    return StorePaths(tmp_path / "store")


@pytest.fixture
def pairs(store, tmp_path) -> list[Current]:
    """The store's pair, and one of another bundle that scores everything otherwise."""
    first = read_current(store)
    make_bundle(tmp_path / "other", seed=5)
    catalogue = write_catalogue(tmp_path / "items.jsonl", CATALOGUE)
    refresh(bundle=tmp_path / "other", items=catalogue, store=store.root)
    second = read_current(store)
    switch_current(store, first)
    return [first, second]


def answers_of(expected: Expected, generation: str) -> list[list]:
    return [reply["results"] for (one, _), reply in expected.replies.items() if one == generation]


def learnt(service: LiveService, store: StorePaths, pairs: list[Current]) -> Expected:
    expected = Expected()
    for pair in pairs:
        switch(store, pair, service)
        expected.learn(service, pair.generation)
    return expected


def log_of(tmp_path: Path) -> Path:
    return tmp_path / "serve.log"


def test_hot_swaps_under_load_lose_no_request_and_mix_no_reply(store, pairs, tmp_path) -> None:
    with live_service(store.root, log_of(tmp_path), workers=2) as service:
        expected = learnt(service, store, pairs)
        with load(service, per_second=100) as answers:
            for at in range(6):
                switch(store, pairs[at % 2], service)

    assert answers_of(expected, pairs[0].generation) != answers_of(expected, pairs[1].generation)
    assert {answer.status for answer in answers} == {200}
    assert all(expected.is_right(answer.number, answer) for answer in answers)
    generations = {pair.generation for pair in pairs}
    seen = {g for g in generations if any(g.encode() in answer.body for answer in answers)}
    assert seen == generations


def test_a_killed_worker_takes_only_its_own_requests_along_and_is_replaced(
    store, pairs, tmp_path
) -> None:
    lanes = 4
    with live_service(store.root, log_of(tmp_path), workers=2) as service:
        expected = learnt(service, store, pairs[:1])
        before = service.metrics()
        with load(service, per_second=100, lanes=lanes) as answers:
            for _ in range(2):
                victim = service.workers()[0]["process_id"]
                os.kill(victim, signal.SIGKILL)
                eventually(lambda gone=victim: _is_replaced(service, gone))
        after = service.metrics()

    lost = [answer for answer in answers if answer.status == 0]
    answered = [answer for answer in answers if answer.status != 0]
    assert len(lost) <= 2 * lanes
    assert {answer.status for answer in answered} == {200}
    assert all(expected.is_right(answer.number, answer) for answer in answered)
    assert after[ANSWERED] - before[ANSWERED] >= len(answered)
    assert after[ANSWERED] - before[ANSWERED] <= len(answers)
    counters = [name for name in before if "_total" in name or "_bucket" in name]
    assert all(after[name] >= before[name] for name in counters)


def _is_replaced(service: LiveService, victim: int) -> bool:
    ready = {worker["process_id"] for worker in service.workers() if worker["ready"]}
    return len(ready) == 2 and victim not in ready


@pytest.mark.parametrize("workers", [1, 2])
def test_on_sigterm_a_service_turns_away_new_traffic_and_finishes_what_it_has(
    store, pairs, tmp_path, workers
) -> None:
    settings = {"drain_delay": "10"}  # seconds in which a slow machine must see it drain
    with live_service(store.root, log_of(tmp_path), workers=workers, **settings) as service:
        expected = learnt(service, store, pairs[:1])
        with load(service, per_second=50) as answers:
            eventually(lambda: service.post("/score", body_of("oak desk")).status_code == 200)
            service.process.send_signal(signal.SIGTERM)
            eventually(lambda: service.get("/readyz").status_code == 503)
            draining = service.post("/score", body_of("oak desk"))
            sent_while_draining = time.monotonic()
        service.process.wait(PATIENCE)

    assert (draining.status_code, draining.headers["connection"]) == (200, "close")
    assert service.process.returncode == 0
    before = [answer for answer in answers if answer.due <= sent_while_draining]
    assert {answer.status for answer in before} == {200}
    assert all(expected.is_right(answer.number, answer) for answer in before)


def test_sighup_and_the_admin_call_have_every_worker_look_and_none_is_restarted(
    store, pairs, tmp_path
) -> None:
    with live_service(store.root, log_of(tmp_path), workers=2) as service:
        processes = {worker["process_id"] for worker in service.workers()}
        aside = store.root / "aside"
        late = store.generation(pairs[1].generation)
        late.rename(aside)
        switch_current(store, pairs[1])
        eventually(lambda: all(worker["refused"] for worker in service.workers()))
        assert service.post("/score", body_of("oak desk")).json()["degraded"] == [STAYED]

        aside.rename(late)
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda: {w["generation"] for w in service.workers()} == {pairs[1].generation})
        reloaded = service.post("/admin/reload").json()

        assert reloaded["agree"]
        assert [worker["nudge"] for worker in reloaded["workers"]] == [2, 2]
        assert {worker["process_id"] for worker in reloaded["workers"]} == processes
        eventually(lambda: service.log.read_text().count("looked: generation") == 2)


def test_rates_are_counted_per_worker_and_info_says_so(store, tmp_path) -> None:
    with live_service(store.root, log_of(tmp_path), workers=2, rate_limit="1000/minute") as service:
        rate = service.get("/info").json()["rate_limit"]

    assert rate == {"rates": "1000/minute", "scope": "worker", "workers": 2}


def test_workers_whose_parent_is_killed_end_and_leave_the_port(store, tmp_path) -> None:
    with live_service(store.root, log_of(tmp_path), workers=2) as service:
        workers = [worker["process_id"] for worker in service.workers()]
        service.process.kill()
        service.process.wait()

        eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
        check_port_is_free(HOST, service.port)


def test_a_client_that_floods_is_turned_away_and_a_quiet_one_is_not(store, tmp_path) -> None:
    keys = tmp_path / "keys.toml"
    flood, quiet = make_key("flood", [Scope.SCORE]), make_key("quiet", [Scope.SCORE])
    write_keys(keys, [flood.kept, quiet.kept])
    settings = {"api_keys": str(keys), "concurrency": "1", "max_queue": "4"}
    with (
        live_service(store.root, log_of(tmp_path), workers=1, **settings) as service,
        load(service, per_second=100_000, lanes=12, key=flood.secret) as flooding,
    ):
        eventually(lambda: service.metrics().get(REFUSED, 0) > 20)
        asked = [service.post("/score", body_of("oak desk"), key=quiet.secret) for _ in range(20)]
        before = service.metrics()[REFUSED]
        eventually(lambda: service.metrics()[REFUSED] > before)  # the flood went on meanwhile

    assert {answer.status for answer in flooding} == {200, 429}
    assert {reply.status_code for reply in asked} == {200}
