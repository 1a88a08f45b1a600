"""Locust users that ask what a shop asks: mostly to score, now and then to search or to explain.

    locust -f loadtest/locustfile.py --data build/demo/shop/data/shop --host http://127.0.0.1:8080

Then http://127.0.0.1:8089 has the web UI; `--headless -u 4 -t 30s --html report.html` goes without;
`--processes 2`, or `--master` and `--worker` on other machines, spread the users.
Each user keeps to `--user-rate` as long as it is answered in time: a closed loop, whose latencies
leave out the time a request would have waited. `open_loop.py` counts that.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from locust import HttpUser, constant_throughput, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.open_loop import HEADERS, Request
from loadtest.traffic import KINDS, Mixture, Traffic, read_traffic, requests
from relevance.errors import BadInput

_shop: list[Traffic] = []  # read once when the test starts, shared by all users of a process
BUSY = 429  # an answer: more is asked than may be
ROWS = {"/score": "item_ids", "/score/batch": "requests"}  # what the reply must have as many of
REPLIES = {"/score": "results", "/score/batch": "replies"}


@events.init_command_line_parser.add_listener
def _add_options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("relevance")
    group.add_argument("--data", env_var="LOADTEST_DATA", default="", help="Prefix of a data set.")
    group.add_argument("--kinds", default="", help="Kinds of request by comma; all by default.")
    group.add_argument("--hit-rate", type=float, default=-1.0, help="Of queries; -1: as they come.")
    group.add_argument("--missing", type=float, default=0.0, help="Share of ids nobody has.")
    group.add_argument("--user-rate", type=float, default=10.0, help="Requests a second a user.")


@events.test_start.add_listener
def _read_shop(environment: Environment, **_: object) -> None:
    _shop[:] = [read_traffic(Path(environment.parsed_options.data))]


class Shopper(HttpUser):
    """Asks what the mixture says, in a stream of its own."""

    def wait_time(self) -> float:
        """What is left until this user's next request."""
        rate = self.environment.parsed_options.user_rate
        wait: float = constant_throughput(rate)(self)
        return wait

    def on_start(self) -> None:
        """Give this user its stream."""
        self.stream: Iterator[Request] = requests(
            _shop[0], mixture_of(self.environment.parsed_options), seed=id(self) & 0xFFFFFF
        )

    @task
    def ask(self) -> None:
        """The next request of the stream; a 429 is told apart from a failure."""
        request = next(self.stream)
        with self.client.post(
            request.path, data=request.body, headers=HEADERS, name=request.kind, catch_response=True
        ) as reply:
            if reply.status_code == BUSY:
                reply.request_meta["name"] = f"{request.kind}: refused"
                reply.success()
            elif reply.ok and not is_complete(request, reply.content):
                reply.failure("an item is missing from the reply")


def mixture_of(options: object) -> Mixture:
    """The mixture that the command line asks for."""
    named = str(getattr(options, "kinds", ""))
    hit_rate = float(getattr(options, "hit_rate", -1.0))
    missing = float(getattr(options, "missing", 0.0))
    if not 0 <= missing <= 1 or hit_rate > 1:
        raise BadInput(f"expected shares up to 1, got --hit-rate {hit_rate} --missing {missing}")
    mixture = Mixture(KINDS, None if hit_rate < 0 else hit_rate, missing)
    return mixture.only(*named.split(",")) if named else mixture


def is_complete(request: Request, reply: bytes) -> bool:
    """Whether each candidate, or each query of a batch, has its row."""
    if request.path not in ROWS:
        return True
    asked = json.loads(request.body)[ROWS[request.path]]
    return len(json.loads(reply)[REPLIES[request.path]]) == len(asked)
