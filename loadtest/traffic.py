"""A stream of `/score` requests with a realistic head and tail, from a query log or plain pairs.

Deterministic by seed. How requests are sent and timed is `locustfile.py`'s business.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relevance.errors import BadInput
from relevance.records import find_data_set, read_catalogue, read_pairs, read_query_log


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
        queries = list(self.visitors)
        counts = np.array([self.visitors[query] for query in queries], dtype=np.float64)
        drawn = min(candidates, len(self.item_ids))
        while True:
            query = queries[random.choice(len(queries), p=counts / counts.sum())]
            rows = random.choice(len(self.item_ids), size=drawn, replace=False)
            yield ScoreCall(query, tuple(self.item_ids[row] for row in rows))


def read_traffic(prefix: Path) -> Traffic:
    """Traffic of a data set: its query log, or every labelled query once where it has none."""
    found = find_data_set(prefix)
    if found.query_log:
        visitors = read_query_log(found.query_log)
    else:
        visitors = {pair.query: 1 for pair in read_pairs(found.pairs)}
    return Traffic(visitors, [item.item_id for item in read_catalogue(found.items)])
