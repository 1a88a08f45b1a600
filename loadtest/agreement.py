"""A drill: does everything that scores a pair say the same, bit for bit?

A catalogue is refreshed with a bundle and served. Every judged pair scored over HTTP must equal
what `ellm evaluate --bundle` wrote for it; public clients of other servers' APIs must give the
order and the scores of `/score`. Nothing is timed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq

from loadtest.processes import Server, free_port, serving
from relevance.atomic import write_text
from relevance.errors import Unavailable
from relevance.records import find_data_set, read_catalogue
from service.client import RelevanceClient
from service.client_plans import Options
from service.wire import InlineItem, OnMissing

SCRIPT = Path(__file__).with_name("public_clients.py")
REQUIREMENTS = Path(__file__).with_name("public_clients.txt")
EXAMPLES = 5  # of disagreements shown
KEY = "not-looked-at"
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


def refreshed(bundle: Path, data: Path, folder: Path) -> Path:
    """A store with the data set's items encoded by the bundle."""
    store = folder / "store"
    items = find_data_set(data).items
    words = relevance_command("refresh", "--bundle", bundle, "--items", items, "--store", store)
    subprocess.run(words, check=True)
    return store


def evaluated(bundle: Path, data: Path, folder: Path) -> Scores:
    """What `ellm evaluate --bundle` gives each pair of the data set."""
    found, out = find_data_set(data), folder / "scores.parquet"
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


@dataclass(frozen=True, slots=True)
class Question:
    """One query with the items judged for it: ids of the catalogue, and their titles as texts."""

    query: str
    item_ids: tuple[str, ...]
    titles: tuple[str, ...]

    def request(self, *, by_id: bool) -> dict[str, Any]:
        """As a rerank client is asked it."""
        documents: list[Any] = list(self.titles)
        if by_id:
            documents = [{"id": item_id} for item_id in self.item_ids]
        return {"query": self.query, "documents": documents}


def questions(data: Path, expected: Scores, *, limit: int) -> list[Question]:
    """Queries from all over the data set, with those of their items that have a score."""
    titles = {item.item_id: item.title for item in read_catalogue(find_data_set(data).items)}
    by_query: dict[str, list[str]] = {}
    for (query, item_id), score in expected.items():
        if score is not None:
            by_query.setdefault(query, []).append(item_id)
    every = max(len(by_query) // max(limit, 1), 1)
    return [
        Question(query, tuple(ids), tuple(titles[item_id] for item_id in ids))
        for query, ids in islice(by_query.items(), 0, every * limit, every)
    ]


def client_environment(folder: Path) -> Path:
    """The interpreter of an environment that holds the public clients; made where it is not."""
    python, wanted = folder / "bin" / "python", REQUIREMENTS.read_text()
    made = folder / REQUIREMENTS.name
    if not made.is_file() or made.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"]
        subprocess.run([str(python), *install, str(REQUIREMENTS)], check=True)
        write_text(made, wanted)
    return python


def ask_clients(
    python: Path, url: str, requests: Sequence[Mapping[str, Any]], *, api_key: str = KEY
) -> dict[str, Any]:
    """Each client's rows for each request it can ask, or its fault."""
    question = {"url": url, "api_key": api_key, "requests": requests}
    done = subprocess.run(
        [str(python), str(SCRIPT)], input=json.dumps(question), capture_output=True, text=True
    )
    if done.returncode:
        raise Unavailable(f"{SCRIPT.name} failed:\n{done.stderr[-2000:]}")
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def clients_agree(python: Path, url: str, asked: Sequence[Question]) -> Iterator[Agreement]:
    """Each public client's order and scores beside those of `/score`: by text, and by id."""
    with RelevanceClient(url) as client:
        by_text = [_ranked(client, one, by_id=False) for one in asked]
        by_id = [_ranked(client, one, by_id=True) for one in asked]
    yield _rankings("vllm's /score over HTTP", _pairs(url, asked), by_text, ordered=False)
    ids = ask_clients(python, url, [one.request(by_id=True) for one in asked])
    for name, answer in ids.items():
        if answer:  # others take no objects
            yield _rankings(f"{name}, by id", answer, by_id)
    texts = ask_clients(python, url, [one.request(by_id=False) for one in asked])
    for name, answer in texts.items():
        yield _rankings(name, answer, by_text)


def _ranked(client: RelevanceClient, one: Question, *, by_id: bool) -> list[list[Any]]:
    """What `/score` says: `[index, score]` from the best to the worst."""
    items = [InlineItem(id=str(at), text=title) for at, title in enumerate(one.titles)]
    ids = one.item_ids if by_id else ()
    reply = client.score(one.query, ids, items=() if by_id else items)
    return [[row.index, row.score] for row in reply.results]


def _rankings(
    name: str, answer: Any, expected: Sequence[list[list[Any]]], *, ordered: bool = True
) -> Agreement:
    what = f"{name} and /score"
    if isinstance(answer, dict):
        return Agreement(what, len(expected), len(expected), examples=[f"{answer}"])
    wanted = expected if ordered else [sorted(rows) for rows in expected]
    return compared(what, dict(enumerate(answer)), dict(enumerate(wanted)))


def _pairs(url: str, asked: Sequence[Question]) -> list[list[list[Any]]]:
    """vLLM has no client of its own for its scores: its documentation sends this body."""
    found = []
    with httpx.Client(base_url=url, timeout=60.0) as http:
        for one in asked:
            body = {"model": "any", "text_1": one.query, "text_2": list(one.titles)}
            rows = http.post("/score", json=body).raise_for_status().json()["data"]
            found.append([[row["index"], row["score"]] for row in rows])
    return found
