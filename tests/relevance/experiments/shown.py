"""A simulated experiment with a known Goodrate, from the log to the judged pairs.

Both variants show some items in common, whose label is one; queries differ in how often they are
asked and in how well they are served, and head queries are served better.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from relevance.experiments.exposures import Exposures
from relevance.experiments.pair_log import SCHEMA, Role

COMMON, OWN = 6, 4  # items a query shows in both variants, and in each alone
GOOD = {"common": 0.8, "control": 0.6, "candidate": 0.7}
TRUTH = {
    name: (COMMON * GOOD["common"] + OWN * GOOD[name]) / (COMMON + OWN)
    for name in ("control", "candidate")
}


@dataclass(frozen=True)
class World:
    """What was shown, and what people would say of it."""

    shown: Exposures
    labels: dict[tuple[str, str], bool]
    visitors: dict[str, float]


def world(random: np.random.Generator, *, queries: int = 250) -> World:
    rows, labels, visitors = [], {}, {}
    asked = np.maximum(1, random.lognormal(1.5, 1.1, queries).astype(int))
    ease = random.beta(3, 3, queries)  # how well a query is served, beside what is shown for it
    for query in range(queries):
        name = f"query {query}"
        visitors[name] = float(asked[query])
        for at in range(COMMON + 2 * OWN):
            kind = "common" if at < COMMON else ("control", "candidate")[(at - COMMON) // OWN]
            rate = GOOD[kind]
            # A rate with this mean whatever `ease` is drawn from: it makes labels of a query alike.
            is_good = bool(random.random() < np.clip(rate + 0.4 * (ease[query] - 0.5), 0, 1))
            labels[name, f"i{at}"] = is_good
            score = float(np.clip(0.35 + 0.4 * is_good + 0.2 * random.normal(), 0.01, 0.99))
            for variant in ("control", "candidate") if kind == "common" else (kind,):
                rows.append((variant, name, f"i{at}", score, float(asked[query])))
    variants, names, items, scores, mass = zip(*sorted(rows), strict=True)
    shown = Exposures(list(variants), list(names), list(items), np.array(scores), np.array(mass))
    return World(shown, labels, visitors)


def log_table(rows: list[dict], *, rate: float = 1.0) -> pa.Table:
    """Rows of a pair log with the fields a test does not care about filled in."""
    known = {
        "logged_at": 0,
        "request_id": "r",
        "experiment": "student",
        "variant": "control",
        "answered_by": "control",
        "role": Role.ANSWER.value,
        "key": "shopper",
        "query": "red lamp",
        "query_hash": "#0",
        "item_id": "a",
        "position": 0,
        "score": 0.5,
        "bundle": "b",
        "generation": "g",
        "sequence": 0,
        "sample_rate": rate,
    }
    return pa.Table.from_pylist([{**known, **row} for row in rows], SCHEMA)
