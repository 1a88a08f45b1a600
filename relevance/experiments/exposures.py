"""What an experiment showed, out of the pair log: pairs by variant with how often they were shown.

A logged row stands for `1 / sample_rate` exposures. Only answers count, by the variant a request
was assigned to, whoever answered it: fall-backs belong to the treatment that caused them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from relevance.errors import BadInput, GateRefused
from relevance.experiments.pair_log import Role

MOST_CROSSED = 0.01  # share of keys seen in two variants


@dataclass(frozen=True, slots=True, eq=False)
class Exposures:
    """One row a variant and pair; `mass` estimates how often it was shown."""

    variants: list[str]
    queries: list[str]
    item_ids: list[str]
    scores: Float64[np.ndarray, " rows"]
    mass: Float64[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.variants)

    @property
    def visitors(self) -> dict[str, float]:
        """How often each query was asked, estimated from the exposures of its most shown pair."""
        most: dict[str, float] = {}
        by_pair: Counter[tuple[str, str]] = Counter()
        for query, item_id, mass in zip(self.queries, self.item_ids, self.mass, strict=True):
            by_pair[query, item_id] += mass
        for (query, _), mass in by_pair.items():
            most[query] = max(most.get(query, 0.0), mass)
        return most


def experiment_rows(table: pa.Table, experiment: str) -> pa.Table:
    """The answers of one experiment; raises `BadInput` where there are none."""
    rows = table.filter(
        (pc.field("experiment") == experiment) & (pc.field("role") == Role.ANSWER.value)
    )
    if not rows.num_rows:
        known = (
            ", ".join(sorted(filter(None, pc.unique(table["experiment"]).to_pylist()))) or "none"
        )
        raise BadInput(f"the log has no answers of experiment `{experiment}`; it has {known}")
    return rows


def exposures(rows: pa.Table, *, top: int) -> Exposures:
    """The pairs shown in the first `top` places; rows without a score were not shown as ranked.

    Raises `BadInput` where the log keeps no words: nobody can judge a hash.
    """
    if rows["query"].null_count:
        raise BadInput("the log holds no queries to judge\nhint: serve with --pair-log-text plain")
    shown = rows.filter((pc.field("position") < top) & pc.field("score").is_valid())
    shown = shown.append_column("mass", pc.divide(1.0, shown["sample_rate"]))
    keys = ["variant", "query", "item_id"]
    grouped = (
        shown.group_by(keys)
        .aggregate([("mass", "sum"), ("score", "mean")])
        .sort_by([(key, "ascending") for key in keys])
    )
    return Exposures(
        variants=grouped["variant"].to_pylist(),
        queries=grouped["query"].to_pylist(),
        item_ids=grouped["item_id"].to_pylist(),
        scores=grouped["score_mean"].to_numpy(),
        mass=grouped["mass_sum"].to_numpy(),
    )


def keys_by_variant(keys: Mapping[str, set[str]]) -> tuple[dict[str, int], set[str]]:
    """How many keys came to each variant, and those that came to more than one.

    The latter are left out of the counts. Raises `GateRefused` where they are more than one in a
    hundred: then the percentages or the salt changed on the way.
    """
    seen = Counter(key for found in keys.values() for key in found)
    crossed = {key for key, count in seen.items() if count > 1}
    if len(crossed) > MOST_CROSSED * len(seen):
        raise GateRefused(
            f"{len(crossed):,} of {len(seen):,} keys came to more than one variant\n"
            "hint: read only the time since percentages or salt were last changed"
        )
    return {variant: len(found - crossed) for variant, found in keys.items()}, crossed


def logged_keys(rows: pa.Table) -> dict[str, set[str]]:
    """The keys of each variant in the log."""
    pairs = rows.group_by(["variant", "key"]).aggregate([])
    keys: dict[str, set[str]] = {}
    for variant, key in zip(pairs["variant"].to_pylist(), pairs["key"].to_pylist(), strict=True):
        if key is not None:
            keys.setdefault(variant, set()).add(key)
    return keys
