"""Locust users that score candidates, and now and then ask why.

    LOADTEST_DATA=build/demo/shop/data/shop \
        locust -f loadtest/locustfile.py --headless -u 4 -t 30s --host http://127.0.0.1:8080

Locust's users are closed loops: its latencies leave out the time a request would have waited.
"""

import os
from pathlib import Path

from locust import HttpUser, between, events, task
from locust.env import Environment

from loadtest.traffic import ScoreCall, Traffic, read_traffic

DATA_VARIABLE = "LOADTEST_DATA"
CANDIDATES = {"/score 10": 10, "/score 100": 100, "/score 1000": 1000}
_shop: list[Traffic] = []  # read once when the test starts, shared by all users


@events.test_start.add_listener
def _read_shop(environment: Environment, **_: object) -> None:
    _shop[:] = [read_traffic(Path(os.environ[DATA_VARIABLE]))]


class Shopper(HttpUser):
    """Mostly a hundred candidates, sometimes more or fewer, rarely an explanation."""

    wait_time = between(0.0, 0.05)

    def on_start(self) -> None:
        """Give this user streams of its own."""
        seed = id(self) & 0xFFFF
        self.streams = {
            name: _shop[0].calls(candidates=count, seed=seed) for name, count in CANDIDATES.items()
        }

    @task(8)
    def score_hundred(self) -> None:
        """A ranking page's candidates."""
        self._score("/score 100")

    @task(2)
    def score_ten(self) -> None:
        """An ad slot's candidates."""
        self._score("/score 10")

    @task(1)
    def score_thousand(self) -> None:
        """A first ranking stage's candidates."""
        self._score("/score 1000")

    @task(1)
    def explain(self) -> None:
        """One pair, with its reasons."""
        call = next(self.streams["/score 10"])
        self.client.post("/explain", json={"query": call.query, "item_id": call.item_ids[0]})

    def _score(self, name: str) -> None:
        call: ScoreCall = next(self.streams[name])
        body = {"query": call.query, "item_ids": list(call.item_ids)}
        with self.client.post("/score", json=body, name=name, catch_response=True) as reply:
            if reply.ok and len(reply.json()["results"]) != len(call.item_ids):
                reply.failure("an item is missing from the reply")
