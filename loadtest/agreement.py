"""A drill: does everything that scores a pair say the same, bit for bit?

A catalogue is refreshed with a bundle and served. Every judged pair scored over HTTP must equal
what `ellm evaluate --bundle` wrote for it. Public clients are `client_agreement.py`'s. Nothing is
timed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loadtest.processes import Server, free_port, serving
from relevance.demo.steps import Step, step_key
from relevance.records import find_data_set
from service.client import RelevanceClient
from service.client_plans import Options
from service.wire import OnMissing

REQUIREMENTS = Path(__file__).with_name("public_clients.txt")
EXAMPLES = 5  # of disagreements shown
KEYED = re.compile("[0-9a-f]{16}")
PACKAGES = ("relevance", "service", "loadtest")  # whose code decides what is compared
Scores = dict[tuple[str, str], float | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many things were compared and which of them differ; `without_score` have none on either
    side."""

    what: str
    compared: int
    different: int
    without_score: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all are equal, and there were any."""
        return self.compared > 0 and not self.different


def relevance_command(*words: object) -> list[str]:
    """A command of this project as a process's words."""
    return [sys.executable, "-m", "relevance", *map(str, words)]


def work_folder(work: Path, bundle: Path, data: Path) -> Path:
    """Where a run with these bytes, this code and these clients goes on where it stopped.

    What other runs left of this data set is removed: nothing of theirs may be compared.
    """
    found = find_data_set(data)
    inputs = (bundle, found.pairs, found.items, REQUIREMENTS)
    run = Step("agreement", "", words=(), inputs=inputs, outputs=(), packages=PACKAGES)
    folder = work / found.name / step_key(run)[:16]
    for other in folder.parent.glob("*"):
        if other != folder and KEYED.fullmatch(other.name):
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refreshed(bundle: Path, data: Path, folder: Path) -> Path:
    """A store with the data set's items encoded by the bundle."""
    store = folder / "store"
    items = find_data_set(data).items
    words = relevance_command("refresh", "--bundle", bundle, "--items", items, "--store", store)
    subprocess.run(words, check=True)
    return store


def evaluated(bundle: Path, data: Path, folder: Path) -> Scores:
    """What `ellm evaluate --bundle` gives each pair of the data set; not asked for twice."""
    found, out = find_data_set(data), folder / "scores.parquet"
    if out.exists():
        return read_scores(out)
    words = ["evaluate", "--bundle", bundle, found.pairs, "--items", found.items, "--out", out]
    subprocess.run(relevance_command(*words), check=True)
    return read_scores(out)


def read_scores(path: Path) -> Scores:
    """The pairs and scores of a file that `ellm evaluate` wrote."""
    table = pq.read_table(path, columns=["query", "item_id", "score"]).to_pydict()
    pairs = zip(table["query"], table["item_id"], strict=True)
    return dict(zip(pairs, table["score"], strict=True))


@contextmanager
def served(store: Path, folder: Path, *, workers: int) -> Iterator[str]:
    """`ellm serve` on a store; its URL."""
    port = free_port()
    words = ["serve", "--store", store, "--port", port, "--workers", workers]
    quiet = ["--log-requests", "none", "--drain-delay", "0"]
    command = relevance_command(*words, *quiet)
    log = folder / "service.log"
    with serving("ellm", command, port=port, log=log, environment=os.environ) as server:
        yield url_of(server)


def url_of(server: Server) -> str:
    """Where a server listens."""
    return f"http://127.0.0.1:{server.port}"


def scores_agree(url: str, expected: Scores) -> Agreement:
    """Score every pair by its item's id and compare."""
    by_query: dict[str, list[str]] = {}
    for query, item_id in expected:
        by_query.setdefault(query, []).append(item_id)
    found: Scores = {}
    skip = Options(on_missing=OnMissing.SKIP)  # an item that is not in the store shall show
    with RelevanceClient(url) as client:
        for query, ids in by_query.items():
            reply = client.score(query, ids, options=skip)
            found |= {(query, row.id): row.score for row in reply.results}
    return compared("/score and ellm evaluate", found, expected)


def compared(what: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Agreement:
    """Where two tables of scores differ by one bit or more."""
    different = [key for key in expected if key not in found or found[key] != expected[key]]
    return Agreement(
        what,
        compared=len(expected),
        different=len(different),
        without_score=sum(score is None for score in expected.values()),
        examples=[
            f"{key}: expected {expected[key]!r}, got {found.get(key)!r}"
            for key in islice(different, EXAMPLES)
        ],
    )
