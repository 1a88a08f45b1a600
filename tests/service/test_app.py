import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient

from relevance.bundle import TOKENIZER
from relevance.errors import BadBundle, BadGeneration, BadInput
from relevance.generation import Current, StorePaths, read_current, switch_current
from service.api_keys import Scope, make_key, write_keys
from service.app import create_app
from service.current_watch import STAYED
from service.explanations import Explanations
from service.fakes import WordEncoder, WordJudge, items_in_memory
from service.item_codec import ItemCodec
from service.openapi import EXAMPLES
from service.query_cache import QueryCache
from service.scorer import NumpyScorer
from service.serving import Pair, open_pair
from service.settings import Settings
from service.snapshot import Snapshot
from service.telemetry.observed import ROUTES
from service.wire import ErrorReply
from service.wire_status import (
    Alive,
    HealthReply,
    InfoReply,
    ModelsReply,
    Readiness,
    WorkersReply,
)
from tests.service.conftest import CATALOGUE
from tests.service.make_bundle import make_bundle

FAST = {"watch_interval": 0.01}
SCORE = {"query": "oak desk", "item_ids": ["B001", "B003"]}


@contextmanager
def serving(store: Path, *, near: bool = False, **settings) -> Iterator[TestClient]:
    app = create_app(Settings(store=store, log_requests="none", **settings))
    client = ("127.0.0.1", 50000) if near else ("10.0.0.1", 50000)
    with TestClient(app, client=client, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def own_store(store_folder, tmp_path) -> StorePaths:
    shutil.copytree(store_folder, tmp_path / "store")
    return StorePaths(tmp_path / "store")


def code_of(reply) -> tuple[int, str]:
    return reply.status_code, msgspec.json.decode(reply.content, type=ErrorReply).error.code


def eventually(check) -> None:
    """Wait until `check` holds; a minute is for a machine that stands still."""
    for _ in range(6000):
        if check():
            return
        time.sleep(0.01)
    pytest.fail(f"never came true: {check}")


@pytest.mark.parametrize(
    ("route", "name"), [(route, name) for route in EXAMPLES for name in EXAMPLES[route]]
)
def test_every_example_in_the_documentation_works(client, route, name) -> None:
    body = client.get("/openapi.json").json()["paths"][route]["post"]["requestBody"]
    example = body["content"]["application/json"]["examples"][name]["value"]

    reply = client.post(route, json=example)

    assert reply.status_code == 200, reply.text


def test_every_schema_the_documentation_refers_to_is_in_it(client) -> None:
    text = client.get("/openapi.json").text
    known = client.get("/openapi.json").json()["components"]["schemas"]

    for piece in text.split('"#/components/schemas/')[1:]:
        assert piece.split('"')[0] in known


def test_every_documented_path_has_a_metrics_label_of_its_own(client) -> None:
    assert set(client.get("/openapi.json").json()["paths"]) <= ROUTES


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/livez", Alive),
        ("/readyz", Readiness),
        ("/health", HealthReply),
        ("/info", InfoReply),
        ("/v1/models", ModelsReply),
    ],
)
def test_what_the_service_tells_of_itself_has_the_shape_it_documents(client, path, schema) -> None:
    reply = client.get(path)

    assert reply.status_code == 200
    assert msgspec.json.decode(reply.content, type=schema, strict=True)
    document = client.get("/openapi.json").json()["paths"][path]["get"]["responses"]["200"]
    reference = document["content"]["application/json"]["schema"]["$ref"]
    assert reference.endswith(f"/{schema.__name__}")


def test_health_says_what_is_being_served(client, store_folder) -> None:
    current = read_current(StorePaths(store_folder))

    health = msgspec.json.decode(client.get("/health").content, type=HealthReply)

    assert (health.generation, health.bundle) == (current.generation, current.bundle)
    assert (health.items, health.degraded, health.status) == (len(CATALOGUE), [], "ok")


def test_info_tells_the_limits_that_hold_and_who_counts_rates(store_folder) -> None:
    with serving(store_folder, max_candidates=7, rate_limit="9/second", workers=1) as client:
        info = msgspec.json.decode(client.get("/info").content, type=InfoReply)

        assert info.limits.max_candidates == 7
        assert (info.rate_limit.rates, info.rate_limit.scope) == ("9/second", "worker")
        too_many = {"query": "a", "item_ids": ["B001"] * 8}
        assert code_of(client.post("/score", json=too_many)) == (422, "too_many_candidates")


def test_the_models_are_listed_as_clients_of_openai_expect(client, bundle) -> None:
    listed = client.get("/v1/models").json()

    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == [bundle.bundle_id]
    assert listed["data"][0]["object"] == "model"


def test_the_service_runs_on_fakes_alone(bundle, tmp_path) -> None:
    encoder = WordEncoder(bundle.dim)
    items = items_in_memory(CATALOGUE, ItemCodec(encoder, bundle))
    snapshot = Snapshot(
        bundle, encoder, NumpyScorer(bundle), items, QueryCache(10), degraded=("numpy_scorer",)
    )

    def opened(settings: Settings, *, previous: Pair | None = None) -> Pair:
        return previous or Pair(snapshot, tmp_path, None)

    app = create_app(
        Settings(store="nowhere"),
        opened=opened,
        explanations=lambda settings: Explanations([WordJudge()]),
    )
    with TestClient(app) as client:
        reply = client.post("/score", json=SCORE)
        explained = client.post("/explain", json={"query": "oak desk", "item_id": "B003"})
        health = client.get("/health").json()

    assert reply.json()["results"][0]["id"] == "B003"
    assert reply.json()["degraded"] == ["numpy_scorer"]
    assert explained.json()["teacher"]["label"] == "Good"
    assert (health["status"], health["degraded"]) == ("degraded", ["numpy_scorer"])


def test_a_bundle_with_a_changed_byte_is_not_served(own_store) -> None:
    with (own_store.bundle(read_current(own_store).bundle) / TOKENIZER).open("a") as file:
        file.write(" ")

    with pytest.raises(BadBundle, match=TOKENIZER), serving(own_store.root):
        pass


def test_a_generation_of_another_bundle_is_not_served(own_store, tmp_path) -> None:
    other = make_bundle(tmp_path / "other", seed=1)
    shutil.copytree(tmp_path / "other", own_store.bundle(other.bundle_id))
    switch_current(
        own_store, Current(generation=read_current(own_store).generation, bundle=other.bundle_id)
    )

    with (
        pytest.raises(BadGeneration, match=f"made by bundle {other.bundle_id}, got one made by"),
        serving(own_store.root),
    ):
        pass


def test_a_refused_update_shows_in_replies_health_and_metrics_until_it_is_mended(own_store) -> None:
    good = read_current(own_store)
    with serving(own_store.root, near=True, **FAST) as client:
        expected = client.post("/score", json=SCORE).json()
        switch_current(own_store, Current(generation="20000101-nowhere", bundle=good.bundle))
        eventually(lambda: client.get("/health").json()["degraded"] == [STAYED])

        degraded = client.post("/score", json=SCORE).json()
        assert degraded == {**expected, "degraded": [STAYED]}
        assert client.get("/readyz").status_code == 200
        (worker,) = client.get("/admin/workers").json()["workers"]
        assert "20000101-nowhere" in worker["refused"]
        eventually(lambda: 'updates_total{outcome="refused"} 1.0' in client.get("/metrics").text)

        switch_current(own_store, good)
        eventually(lambda: client.get("/health").json()["degraded"] == [])
        assert client.post("/score", json=SCORE).json() == expected


def test_while_a_big_generation_is_opened_the_worker_gives_signs_of_life(own_store) -> None:
    is_opening, go_on = threading.Event(), threading.Event()

    def slow(settings: Settings, *, previous: Pair | None = None) -> Pair:
        if previous is not None:
            is_opening.set()
            go_on.wait(60)
        return open_pair(settings, previous=previous)

    made = Settings(store=own_store.root, log_requests="none", **FAST)
    app = create_app(made, opened=slow)
    with TestClient(app, client=("127.0.0.1", 50000)) as client:
        assert is_opening.wait(60)

        def seen() -> float:
            return app.state.open.lifecycle.run.states()[0].seen

        first = seen()
        eventually(lambda: seen() > first)
        assert client.post("/score", json=SCORE).status_code == 200
        go_on.set()


def test_a_reload_answers_with_the_state_of_every_worker(own_store) -> None:
    current = read_current(own_store)
    with serving(own_store.root, near=True, **FAST) as client:
        first, second = (
            msgspec.json.decode(client.post("/admin/reload").content, type=WorkersReply)
            for _ in range(2)
        )

    assert first.agree
    (worker,) = first.workers
    assert (worker.generation, worker.refused, worker.nudge) == (current.generation, None, 1)
    assert second.workers[0].nudge == 2


def test_operators_routes_are_closed_to_other_machines_and_open_with_a_key(
    store_folder, tmp_path
) -> None:
    keys = tmp_path / "keys.toml"
    scraper, shop = make_key("scraper", [Scope.METRICS]), make_key("shop", [Scope.SCORE])
    write_keys(keys, [scraper.kept, shop.kept])
    with serving(store_folder, api_keys=keys, **FAST) as client:

        def asked(path: str, secret: str | None = None, method: str = "GET"):
            headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            return client.request(method, path, headers=headers, json=SCORE)

        for path in ("/metrics", "/admin/workers", "/docs", "/info"):
            assert code_of(asked(path)) == (401, "missing_api_key")
        assert code_of(asked("/score", method="POST")) == (401, "missing_api_key")
        assert asked("/score", shop.secret, "POST").status_code == 200
        assert code_of(asked("/metrics", shop.secret)) == (403, "forbidden")
        assert asked("/metrics", scraper.secret).status_code == 200
        assert asked("/readyz").status_code == 200

        write_keys(keys, [scraper.kept])  # revoked: the file is all it takes
        eventually(lambda: asked("/score", shop.secret, "POST").status_code == 401)
        assert code_of(asked("/score", shop.secret, "POST")) == (401, "invalid_api_key")
        assert code_of(asked("/score", method="POST")) == (401, "missing_api_key")


def test_a_key_file_that_breaks_later_leaves_the_keys_in_force_and_shows(
    store_folder, tmp_path
) -> None:
    keys = tmp_path / "keys.toml"
    shop = make_key("shop", [Scope.SCORE])
    write_keys(keys, [shop.kept])
    with serving(store_folder, api_keys=keys, **FAST) as client:
        keys.write_text("[[key")
        eventually(lambda: client.get("/health").json()["degraded"] == ["api_keys_refused"])

        assert client.post("/score", json=SCORE).status_code == 401
        headers = {"X-API-Key": shop.secret}
        assert client.post("/score", json=SCORE, headers=headers).status_code == 200


def test_a_key_file_that_is_wrong_at_start_is_refused(store_folder, tmp_path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text("[[key")

    with (
        pytest.raises(BadInput, match=r"keys\.toml: expected TOML"),
        serving(store_folder, api_keys=keys),
    ):
        pass


def test_a_service_whose_golden_pair_fails_is_not_ready_and_gives_no_score(store_folder) -> None:
    with serving(store_folder, self_check_interval=0.01) as client:
        service = client.app.state.open
        watch = service.lifecycle.watch
        golden = watch.prepared.golden
        wrong = replace(golden, maxima=golden.maxima + 1)
        right, watch.prepared = watch.prepared, replace(watch.prepared, golden=wrong)
        eventually(lambda: client.get("/readyz").status_code == 503)

        assert "the scorer answers" in client.get("/health").json()["reason"]
        assert code_of(client.post("/score", json=SCORE)) == (503, "self_check_failed")
        assert client.get("/livez").status_code == 200

        watch.prepared = right
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/score", json=SCORE).status_code == 200


def test_a_draining_service_answers_but_wants_no_more(store_folder) -> None:
    with serving(store_folder) as client:
        lifecycle = client.app.state.open.lifecycle
        before = client.post("/score", json=SCORE)
        lifecycle.drain()

        ready, after = client.get("/readyz"), client.post("/score", json=SCORE)

    assert (ready.status_code, ready.json()["reason"]) == (503, "draining")
    assert after.json() == before.json()
    assert after.headers["connection"] == "close"
    assert "connection" not in before.headers


def test_every_reply_carries_a_request_id_the_senders_where_it_is_fit_to_log(client) -> None:
    def id_of(sent: str | None) -> str:
        headers = {} if sent is None else {"X-Request-ID": sent}
        return client.get("/livez", headers=headers).headers["x-request-id"]

    assert id_of("checkout-42") == "checkout-42"
    assert id_of(None) != id_of(None)
    for unfit in ("two words", "x" * 129, '{"evil": 1}'):
        assert id_of(unfit) != unfit
    assert client.post("/score", content=b"{").headers["x-request-id"]


def test_a_fault_nobody_expected_is_a_500_in_the_envelope_whose_id_the_log_has(
    store_folder, caplog
) -> None:
    with serving(store_folder) as client:
        service = client.app.state.open
        service.snapshot = replace(service.snapshot, encoder=None)
        with caplog.at_level(logging.ERROR):
            reply = client.post("/score", json=SCORE)

    assert code_of(reply) == (500, "internal")
    assert reply.headers["x-request-id"]
    assert any(record.exc_info for record in caplog.records)


def test_a_warm_up_query_does_not_fill_the_query_cache(store_folder) -> None:
    with serving(store_folder) as client:
        assert len(client.app.state.open.snapshot.query_cache) == 0
