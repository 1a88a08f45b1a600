"""Two stores of one catalogue with bundles that score differently, and services over them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.refresh.refresh import refresh
from service.serving import Pair, open_pair
from service.settings import Settings
from tests.service.make_bundle import make_bundle

SCORE = {"query": "red water bottle", "item_ids": ["B001", "B002", "B003"]}
KEYS = [f"shopper {at}" for at in range(40)]


@pytest.fixture(scope="session")
def candidate_store(tmp_path_factory: pytest.TempPathFactory, catalogue_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("candidate")
    make_bundle(folder / "bundle", seed=5)
    refresh(bundle=folder / "bundle", items=catalogue_file, store=folder / "store")
    return folder / "store"


def plan_text(store: Path, *, timeout_ms: int = 60_000, shadow: float = 0, more: str = "") -> str:
    shadows = f'[[shadows]]\nvariant = "candidate"\npercent = {shadow}\n' if shadow else ""
    return f"""version = 1
[variants.candidate]
store = {json.dumps(str(store))}
timeout_ms = {timeout_ms}
[[experiments]]
name = "student"
salt = "student/1"
percent = {{ control = 50, candidate = 50 }}
{more}
{shadows}"""


@pytest.fixture
def plan_file(tmp_path: Path, candidate_store: Path) -> Path:
    path = tmp_path / "experiments.toml"
    path.write_text(plan_text(candidate_store))
    return path


@contextmanager
def serving(
    store: Path, plan: Path | None, *, opened=open_pair, **settings
) -> Iterator[TestClient]:
    given = Settings(
        store=store, experiments=plan, log_requests="none", watch_interval=0.01, **settings
    )
    with TestClient(create_app(given, opened=opened), client=("127.0.0.1", 50000)) as client:
        yield client


class Spoilt:
    """Opens stores as ever, but the scorer of one of them does what a test wants first."""

    def __init__(self, store: Path, first: Callable[[], None]) -> None:
        self._store = store
        self.first: Callable[[], None] = lambda: None
        self.then = first

    def spoil(self) -> None:
        """From now on: until then the store can be opened and warmed."""
        self.first = self.then

    def heal(self) -> None:
        self.first = lambda: None

    def __call__(self, settings: Settings, *, previous: Pair | None = None) -> Pair:
        pair = open_pair(settings, previous=previous)
        if settings.store != self._store or pair is previous:
            return pair
        scorer, spoilt = pair.snapshot.scorer, self

        class SpoiltScorer:
            def score(self, *arguments):
                spoilt.first()
                return scorer.score(*arguments)

        return replace(pair, snapshot=replace(pair.snapshot, scorer=SpoiltScorer()))


def ask(client: TestClient, key: str | None = None, **body) -> dict:
    headers = {} if key is None else {"x-experiment-key": key}
    reply = client.post("/score", json={**SCORE, **body}, headers=headers)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def eventually(is_true: Callable[[], object], *, patience: float = 180) -> None:
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def metrics(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
