"""Do public clients of other servers' APIs get the order and the very scores of `/score`?

Clients run in an environment of their own (`public_clients.py`). Every answer is kept in a journal
as it comes, so a run that is cut off goes on where it stopped.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
from tqdm import tqdm

from loadtest.agreement import (
    REQUIREMENTS,
    Agreement,
    Scores,
    compared,
    evaluated,
    refreshed,
    scores_agree,
    served,
    work_folder,
)
from loadtest.public_clients import CLIENTS, TAKE_OBJECTS
from relevance.atomic import write_text
from relevance.errors import Unavailable
from relevance.records import find_data_set, read_catalogue
from service.client import RelevanceClient
from service.wire import InlineItem

SCRIPT = Path(__file__).with_name("public_clients.py")
KEY = "not-looked-at"
OURS, PAIRS = "/score", "vllm's /score over HTTP"  # asked without a public client
Rows = list[list[Any]]  # `[index, score]`
Told = Callable[[int], object]  # how many more answers there are


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


class Journal:
    """Answers by who gave them, in the order of the questions; in a file, or with None nowhere.

    A file belongs to one list of questions. A line that a kill tore off is cut off and asked again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._answers: dict[str, list[Rows]] = {}
        if path is None or not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        os.truncate(path, len(whole))
        for line in whole.splitlines():
            who, rows = json.loads(line)
            self._answers.setdefault(who, []).append(rows)

    @property
    def count(self) -> int:
        """How many answers there are, from everyone."""
        return sum(map(len, self._answers.values()))

    def of(self, who: str) -> list[Rows]:
        """What this one has answered so far."""
        return self._answers.get(who, [])

    def add(self, who: str, rows: Rows) -> None:
        """The answer to this one's next question."""
        with self._lock:
            self._answers.setdefault(who, []).append(rows)
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([who, rows]) + "\n")


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


@dataclass(frozen=True, slots=True)
class PublicClients:
    """Asks the public clients about a service, `at_once` processes of them at a time.

    `told` hears of each answer.
    """

    python: Path
    url: str
    api_key: str = KEY
    at_once: int = 1
    told: Told = lambda more: None

    def answers(
        self, requests: Sequence[Mapping[str, Any]], journal: Journal | None = None
    ) -> dict[str, Any]:
        """Each client's rows for each request it can ask, or its fault."""
        journal = Journal() if journal is None else journal
        names = list(CLIENTS)
        groups = [names[at :: self.at_once] for at in range(self.at_once)]
        with ThreadPoolExecutor(self.at_once) as threads:
            parts = threads.map(lambda group: self._asked(group, requests, journal), groups)
            faults = {name: fault for part in parts for name, fault in part.items()}
        return {name: faults.get(name, journal.of(name)) for name in names}

    def _asked(
        self, names: Sequence[str], requests: Sequence[Mapping[str, Any]], journal: Journal
    ) -> dict[str, Any]:
        """Ask what is not in the journal; returns the faults of those who could not answer."""
        question = {
            "url": self.url,
            "api_key": self.api_key,
            "requests": requests,
            "answered": {name: len(journal.of(name)) for name in names},
        }
        faults: dict[str, Any] = {}
        with tempfile.TemporaryFile("w+") as said:
            command = [str(self.python), str(SCRIPT)]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            with subprocess.Popen(command, text=True, stderr=said, **pipes) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                with suppress(BrokenPipeError), process.stdin as asked:
                    json.dump(question, asked)
                for line in process.stdout:
                    if not line.endswith("\n"):  # it was killed in the middle of it
                        break
                    name, answer = json.loads(line)
                    if isinstance(answer, dict):
                        faults[name] = answer
                    else:
                        journal.add(name, answer)
                    self.told(1)
            if process.returncode:
                said.seek(0)
                raise Unavailable(f"{SCRIPT.name} failed:\n{said.read()[-2000:]}")
        return faults


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison of the public clients with `/score`: all documents as texts, or all by id."""

    clients: PublicClients
    asked: Sequence[Question]
    folder: Path | None = None

    def agreements(self) -> Iterator[Agreement]:
        """Each client's order and scores beside those of `/score`: by text, and by id."""
        yield from self._agreements(by_id=True)
        yield from self._agreements(by_id=False)

    def _agreements(self, *, by_id: bool) -> Iterator[Agreement]:
        journal = self._journal("ids" if by_id else "texts")
        self.clients.told(journal.count)
        expected = self._kept(journal, OURS, _ranked(self.clients.url, by_id=by_id))
        requests = [one.request(by_id=by_id) for one in self.asked]
        for name, answer in self.clients.answers(requests, journal).items():
            if answer or not by_id:  # others take no objects
                yield _rankings(f"{name}, by id" if by_id else name, answer, expected)
        if not by_id:
            pairs = self._kept(journal, PAIRS, _pairs(self.clients.url))
            yield _rankings(PAIRS, pairs, [sorted(rows) for rows in expected])

    def _journal(self, name: str) -> Journal:
        """A file of its own for each number of questions: their list depends on it."""
        folder = self.folder
        return Journal(folder and folder / f"answers-{len(self.asked)}-{name}.jsonl")

    def _kept(
        self, journal: Journal, who: str, ask: AbstractContextManager[Callable[[Question], Rows]]
    ) -> list[Rows]:
        with ask as answer:
            for one in self.asked[len(journal.of(who)) :]:
                journal.add(who, answer(one))
                self.clients.told(1)
        return journal.of(who)


@dataclass(frozen=True, slots=True)
class Drill:
    """What is compared: a bundle on data sets, and so many queries of each by public clients.

    `environment` is the public clients'; `work` keeps what an interrupted run has done.
    """

    bundle: Path
    workers: int
    clients: int
    environment: Path
    work: Path

    def agreements(self, data: Path) -> Iterator[Agreement]:
        """Everything compared on one data set; what was kept is removed where all agree.

        Else a client may only have lost its patience, and the next run asks it for the rest.
        """
        folder, are_whole = work_folder(self.work, self.bundle, data), True
        for one in self._agreements(data, folder):
            are_whole &= one.is_whole
            yield one
        if are_whole:
            shutil.rmtree(folder)

    def _agreements(self, data: Path, folder: Path) -> Iterator[Agreement]:
        store = refreshed(self.bundle, data, folder)
        expected = evaluated(self.bundle, data, folder)
        with served(store, folder, workers=self.workers) as url:
            yield scores_agree(url, expected)
            if self.clients:
                python = client_environment(self.environment)
                asked = questions(data, expected, limit=self.clients)
                yield from self._of_clients(python, url, asked, folder)

    def _of_clients(
        self, python: Path, url: str, asked: Sequence[Question], folder: Path
    ) -> Iterator[Agreement]:
        answers = len(asked) * (len(CLIENTS) + len(TAKE_OBJECTS) + 3)  # by text and id, by pairs
        with tqdm(total=answers, unit=" answers", leave=False) as bar:
            clients = PublicClients(python, url, at_once=self.workers, told=bar.update)
            yield from Compared(clients, asked, folder).agreements()


@contextmanager
def _ranked(url: str, *, by_id: bool) -> Iterator[Callable[[Question], Rows]]:
    """What `/score` says: `[index, score]` from the best to the worst."""
    with RelevanceClient(url) as client:

        def answer(one: Question) -> Rows:
            items = [InlineItem(id=str(at), text=title) for at, title in enumerate(one.titles)]
            ids = one.item_ids if by_id else ()
            reply = client.score(one.query, ids, items=() if by_id else items)
            return [[row.index, row.score] for row in reply.results]

        yield answer


@contextmanager
def _pairs(url: str) -> Iterator[Callable[[Question], Rows]]:
    """vLLM has no client of its own for its scores: its documentation sends this body."""
    with httpx.Client(base_url=url, timeout=60.0) as http:

        def answer(one: Question) -> Rows:
            body = {"model": "any", "text_1": one.query, "text_2": list(one.titles)}
            rows = http.post("/score", json=body).raise_for_status().json()["data"]
            return [[row["index"], row["score"]] for row in rows]

        yield answer


def _rankings(name: str, answer: Any, expected: Sequence[Rows]) -> Agreement:
    what = f"{name} and /score"
    if isinstance(answer, dict):
        return Agreement(what, len(expected), len(expected), examples=[f"{answer}"])
    return compared(what, dict(enumerate(answer)), dict(enumerate(expected)))
