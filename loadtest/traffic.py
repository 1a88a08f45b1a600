"""A stream of requests with a realistic head and tail, from a query log or plain pairs.

Deterministic by seed. How often which kind of request comes stands in a `Mixture`; how they are
sent and timed is `locustfile.py`'s and `open_loop.py`'s business.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from loadtest.open_loop import Request
from relevance.errors import BadInput
from relevance.records import find_data_set, read_catalogue, read_pairs, read_query_log

WARM_QUERIES = 40  # asked again and again where a hit rate is wanted
NOBODY = "nobody-has-this-"  # ids no catalogue knows


@dataclass(frozen=True, slots=True)
class ScoreCall:
    """One request's body: a query and its candidates."""

    query: str
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Queries with how often they come, and the items candidates are drawn from."""

    visitors: Mapping[str, int]
    item_ids: Sequence[str]

    def __post_init__(self) -> None:
        if not self.item_ids or not any(count > 0 for count in self.visitors.values()):
            raise BadInput("traffic: expected at least one item and one query that somebody asks")

    def calls(self, *, candidates: int, seed: int) -> Iterator[ScoreCall]:
        """Endless requests: queries by their visitors, `candidates` distinct items at random."""
        random = np.random.default_rng(seed)
        queries, chances = self.head_and_tail()
        drawn = min(candidates, len(self.item_ids))
        while True:
            query = queries[random.choice(len(queries), p=chances)]
            rows = random.choice(len(self.item_ids), size=drawn, replace=False)
            yield ScoreCall(query, tuple(self.item_ids[row] for row in rows))

    def head_and_tail(self) -> tuple[list[str], np.ndarray]:
        """All queries that are asked, and how often each comes, of one."""
        queries = [query for query, count in self.visitors.items() if count > 0]
        counts = np.array([self.visitors[query] for query in queries], dtype=np.float64)
        return queries, counts / counts.sum()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: its part of the traffic, and how many candidates it has."""

    name: str
    path: str
    share: float
    candidates: int


KINDS = (
    Kind("score 10", "/score", 0.15, 10),
    Kind("score 100", "/score", 0.62, 100),
    Kind("score 1000", "/score", 0.10, 1000),
    Kind("score 5000", "/score", 0.01, 5000),
    Kind("batch 4 x 100", "/score/batch", 0.04, 100),
    Kind("search", "/search", 0.03, 24),
    Kind("explain", "/explain", 0.05, 1),
)
BATCH = 4  # queries in a batch


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is asked: kinds by share, how many queries were asked before, how many ids are missing.

    Only lists of candidates have missing ids: one alone cannot be explained.

    `hit_rate` None leaves repeats to the log's head and tail. Else queries come from a small warm
    set at that rate and are new otherwise.
    """

    kinds: tuple[Kind, ...] = KINDS
    hit_rate: float | None = None
    missing: float = 0.0

    def only(self, *names: str) -> "Mixture":
        """The same with some kinds alone."""
        chosen = tuple(kind for kind in self.kinds if kind.name in names)
        if len(chosen) != len(names):
            known = ", ".join(kind.name for kind in self.kinds)
            raise BadInput(f"kinds: expected some of {known}; got {', '.join(names)}")
        return replace(self, kinds=chosen)


def only_score(candidates: int, *, hit_rate: float | None = 0.0) -> Mixture:
    """`/score` with so many candidates and nothing else, every query new unless told."""
    kind = Kind(f"score {candidates}", "/score", 1.0, candidates)
    return Mixture((kind,), hit_rate=hit_rate)


def requests(traffic: Traffic, mixture: Mixture, *, seed: int) -> Iterator[Request]:
    """Endless requests of a mixture; candidates are drawn at random, repeats included."""
    random = np.random.default_rng(seed)
    shares = np.array([kind.share for kind in mixture.kinds])
    ask = _queries(traffic, mixture.hit_rate, random, seed=seed)
    while True:
        kind = mixture.kinds[random.choice(len(shares), p=shares / shares.sum())]
        ids = [
            _candidates(traffic, kind, mixture.missing, random) for _ in range(_queries_of(kind))
        ]
        body = _BODIES[kind.path](kind, ask, ids)
        yield Request(kind.path, json.dumps(body, ensure_ascii=False).encode(), kind.name)


def read_traffic(prefix: Path) -> Traffic:
    """Traffic of a data set: its query log, or every labelled query once where it has none."""
    found = find_data_set(prefix)
    if found.query_log:
        visitors = read_query_log(found.query_log)
    else:
        visitors = {pair.query: 1 for pair in read_pairs(found.pairs)}
    return Traffic(visitors, [item.item_id for item in read_catalogue(found.items)])


Ask = Callable[[], str]


def _queries(
    traffic: Traffic, hit_rate: float | None, random: np.random.Generator, *, seed: int
) -> Ask:
    queries, chances = traffic.head_and_tail()
    upto = np.cumsum(chances)
    asked = 0

    def drawn() -> str:
        return queries[min(int(np.searchsorted(upto, random.random())), len(queries) - 1)]

    def warm_or_new() -> str:
        nonlocal asked
        if random.random() < (hit_rate or 0.0):
            return queries[int(random.integers(min(WARM_QUERIES, len(queries))))]
        asked += 1
        return f"{drawn()} {seed}-{asked}"

    return drawn if hit_rate is None else warm_or_new


def _candidates(
    traffic: Traffic, kind: Kind, missing: float, random: np.random.Generator
) -> list[str]:
    ids = [
        traffic.item_ids[row]
        for row in random.integers(len(traffic.item_ids), size=kind.candidates)
    ]
    if kind.candidates > 1:
        for at in np.flatnonzero(random.random(kind.candidates) < missing).tolist():
            ids[at] = f"{NOBODY}{random.integers(1 << 30)}"
    return ids


def _queries_of(kind: Kind) -> int:
    return BATCH if kind.path == "/score/batch" else 1


def _score_body(kind: Kind, ask: Ask, ids: list[list[str]]) -> dict[str, object]:
    return {"query": ask(), "item_ids": ids[0]}


def _batch_body(kind: Kind, ask: Ask, ids: list[list[str]]) -> dict[str, object]:
    return {"requests": [{"query": ask(), "item_ids": some} for some in ids]}


def _search_body(kind: Kind, ask: Ask, ids: list[list[str]]) -> dict[str, object]:
    return {"query": ask(), "top_k": kind.candidates}


def _explain_body(kind: Kind, ask: Ask, ids: list[list[str]]) -> dict[str, object]:
    return {"query": ask(), "item_id": ids[0][0]}


_BODIES = {
    "/score": _score_body,
    "/score/batch": _batch_body,
    "/search": _search_body,
    "/explain": _explain_body,
}
