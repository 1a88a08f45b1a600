"""The hot path's cost in Python calls: exact, the same on every machine, and held to a ceiling."""

import json
from collections import Counter
from pathlib import Path

import pytest

from service import bodies
from service.benchmark.calls import calls_of
from service.bodies import Encoding
from service.job import Job
from service.requests import score_reply
from service.scorer import CHUNK
from service.serving import open_pair
from service.settings import Settings
from service.snapshot import Snapshot
from service.wire import ScoreRequest

# Raise a ceiling only for a reason that is worth the time.
FIXED_CEILING = 480  # calls of a request with a query nobody asked before, without its candidates
CHUNK_CEILING = 60  # calls of one more run of the graph
SLACK = 20  # calls that come and go with sizes of buffers
PER_CANDIDATE = 0  # calls: what is done for every candidate is done in arrays


@pytest.fixture(scope="module")
def opened(store_folder: Path) -> Snapshot:
    return open_pair(Settings(store=store_folder)).snapshot


def request_calls(snapshot: Snapshot, candidates: int, *, query: str) -> Counter[str]:
    """The calls of one `/score` body from its bytes to the reply's."""
    ids = [f"lamp-{at % 200}" for at in range(candidates)]
    body = json.dumps({"query": query, "item_ids": ids}).encode()

    def work() -> object:
        asked = bodies.read(body, ScoreRequest, Encoding.JSON)
        return bodies.reply(score_reply(Job(snapshot), asked), Encoding.JSON)

    return calls_of(work)


@pytest.fixture(scope="module", autouse=True)
def warm(opened: Snapshot) -> None:
    request_calls(opened, 5, query="steel")


def test_a_request_makes_no_more_python_calls_than_its_ceiling(opened: Snapshot) -> None:
    calls = request_calls(opened, 100, query="red steel lamp")

    assert calls.total() <= FIXED_CEILING + 100 * PER_CANDIDATE, calls.most_common(20)


def test_a_candidate_costs_no_call_of_its_own(opened: Snapshot) -> None:
    few = request_calls(opened, 100, query="blue cotton")
    many = request_calls(opened, 500, query="oak desk")

    assert (many - few).total() <= 400 * PER_CANDIDATE + SLACK, (many - few).most_common(5)


def test_another_chunk_costs_few_calls(opened: Snapshot) -> None:
    one, two, three = (
        request_calls(opened, count, query="red desk").total() - count * PER_CANDIDATE
        for count in (CHUNK, 2 * CHUNK, 3 * CHUNK)
    )

    assert three - two <= CHUNK_CEILING
    assert two - one <= CHUNK_CEILING


def test_a_query_asked_before_spares_the_encoder(opened: Snapshot) -> None:
    new = request_calls(opened, 100, query="a lamp of oak")
    again = request_calls(opened, 100, query="a lamp of oak")

    assert "OnnxTokenEncoder.encode" in new
    assert "OnnxTokenEncoder.encode" not in again
    assert again.total() < new.total()


def test_a_loop_in_python_over_candidates_is_noticed() -> None:
    def loop(candidates: int) -> int:
        return calls_of(lambda: [str.upper("x") for _ in range(candidates)]).total()

    assert loop(500) - loop(100) == 400
