"""Click-through rates by variant from a shop's own log of impressions and clicks.

Shoppers are assigned, so shoppers (keys) are the clusters: impressions of one are not independent.
The interval is the delta method's; a cluster bootstrap of the same stands beside it as a check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from relevance.errors import BadInput
from relevance.experiments.exposures import keys_by_variant
from relevance.experiments.goodrate import Compared, compared
from relevance.experiments.plan import CONTROL
from relevance.experiments.ratio import Units
from relevance.experiments.sample_ratio import SampleRatio, refuse_mismatch, sample_ratio
from relevance.experiments.segments import Segment, segment_of
from relevance.tables import Columns, read_table
from relevance.text import normalise

COLUMNS = Columns(
    kind="click log",
    required={"experiment_key": pa.string(), "variant": pa.string(), "clicks": pa.int64()},
    optional={"impressions": pa.int64(), "experiment": pa.string(), "query": pa.string()},
)


@dataclass(frozen=True, slots=True)
class ClickRates:
    """Rates by segment, how many keys came to each variant, and how many came to more than one."""

    experiment: str
    segments: tuple[Compared, ...]
    keys: SampleRatio
    crossed: int


def read_clicks(path: Path, *, experiment: str | None = None) -> pa.Table:
    """Read a click log; a row without `impressions` is one.

    Raises `BadInput` naming the first row with impossible counts.
    """
    table = read_table(path, COLUMNS)
    if "impressions" not in table.column_names:
        table = table.append_column("impressions", pa.array([1] * table.num_rows, pa.int64()))
    impressions, clicks = table["impressions"].to_numpy(), table["clicks"].to_numpy()
    wrong = np.flatnonzero(~((clicks >= 0) & (clicks <= impressions)))  # nan is neither
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"{path}: row {row + 1}: expected 0 ≤ clicks ≤ impressions, "
            f"got {clicks[row]} of {impressions[row]}"
        )
    if experiment is not None and "experiment" in table.column_names:
        table = table.filter(pc.field("experiment") == experiment)
        if not table.num_rows:
            raise BadInput(f"{path}: expected rows of experiment `{experiment}`, got none")
    return table


def click_rates(
    table: pa.Table,
    *,
    experiment: str,
    shares: Mapping[str, float],
    visitors: Mapping[str, float] | None = None,
) -> ClickRates:
    """Rates and differences, head and tail apart where queries and their visitors are known.

    Raises `GateRefused` for a sample-ratio mismatch.
    """
    counts, crossed = keys_by_variant(keys_of(table))
    keys = sample_ratio(counts, shares)
    refuse_mismatch(keys)
    if crossed:
        left_out = pc.is_in(table["experiment_key"], pa.array(sorted(crossed)))
        table = table.filter(pc.invert(left_out))
    parts = {segment: _units(part) for segment, part in _segments(table, visitors).items()}
    found = tuple(compared(segment, units) for segment, units in parts.items())
    return ClickRates(experiment, found, keys, len(crossed))


def by_key(table: pa.Table) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Each key with its clicks and impressions."""
    sums = [("clicks", "sum"), ("impressions", "sum")]
    grouped = table.group_by("experiment_key").aggregate(sums).sort_by("experiment_key")
    names: list[str] = grouped["experiment_key"].to_pylist()
    clicks, impressions = (grouped[f"{name}_sum"].to_numpy() for name, _ in sums)
    return names, clicks.astype(np.float64), impressions.astype(np.float64)


def keys_of(table: pa.Table) -> dict[str, set[str]]:
    """The keys of each variant."""
    pairs = table.group_by(["variant", "experiment_key"]).aggregate([]).to_pydict()
    found: dict[str, set[str]] = {}
    for variant, key in zip(pairs["variant"], pairs["experiment_key"], strict=True):
        found.setdefault(variant, set()).add(key)
    return found


def bootstrap_differences(
    first: Units, second: Units, *, draws: int, seed: int
) -> Float64[np.ndarray, " draws"]:
    """Ratio of second minus first, each variant's clusters drawn anew with replacement."""
    streams = np.random.default_rng(seed).spawn(2)
    one, other = (
        _drawn_ratios(units, draws, stream)
        for units, stream in zip((first, second), streams, strict=True)
    )
    return other - one


def _drawn_ratios(
    units: Units, draws: int, stream: np.random.Generator
) -> Float64[np.ndarray, " draws"]:
    names, cluster_of = np.unique(np.asarray(units.clusters), return_inverse=True)
    tops = np.bincount(cluster_of, units.numerators)
    bottoms = np.bincount(cluster_of, units.denominators)
    found = np.empty(draws)
    for at in range(draws):
        counts = np.bincount(stream.integers(len(names), size=len(names)), minlength=len(names))
        found[at] = (counts @ tops) / (counts @ bottoms)
    return found


def _segments(table: pa.Table, visitors: Mapping[str, float] | None) -> dict[Segment, pa.Table]:
    if visitors is None or "query" not in table.column_names:
        return {Segment.ALL: table}
    queries: Sequence[str | None] = table["query"].to_pylist()
    found = pa.array([segment_of(normalise(query or ""), visitors).value for query in queries])
    parts = {one: table.filter(pc.equal(found, one.value)) for one in (Segment.HEAD, Segment.TAIL)}
    return {Segment.ALL: table, **{one: part for one, part in parts.items() if part.num_rows}}


def _units(table: pa.Table) -> dict[str, Units]:
    names = sorted(
        pc.unique(table["variant"]).to_pylist(), key=lambda name: (name != CONTROL, name)
    )
    units = {}
    for name in names:
        keys, clicks, impressions = by_key(table.filter(pc.field("variant") == name))
        if impressions.sum() > 0:
            units[name] = Units(clicks, impressions, keys)
    return units
