"""Drawing the pairs that people judge: stratified, deduplicated, each with its probability.

Strata are variant, head or tail, and score band. Within one a pair is drawn with a probability
proportional to how often it was shown (Poisson sampling). Every pair has one random number for all
variants, so what both variants showed is drawn for both or for neither: fewer pairs to judge, and a
difference that is exact where the variants agree. Source: Ohlsson, "Coordination of Samples using
Permanent Random Numbers" (1995).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64

from relevance.atomic import replacing_file
from relevance.errors import BadInput
from relevance.experiments.assignment import place
from relevance.experiments.exposures import Exposures
from relevance.experiments.segments import Segment, segment_of
from relevance.tables import Columns, read_table

FORMAT = "relevance-audit-design/1"
BANDS = (0.2, 0.4, 0.6, 0.8)  # between the score bands
LEAST_SPREAD = 0.2  # a band whose scores say "surely Good" still gets its share: scores may err
COLUMNS = Columns(
    kind="audit design",
    required={
        "experiment": pa.string(),
        "variant": pa.string(),
        "query": pa.string(),
        "item_id": pa.string(),
        "segment": pa.string(),
        "band": pa.int64(),
        "mass": pa.float64(),
        "probability": pa.float64(),
    },
    optional={},
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A pair drawn for a variant: shown `mass` times, drawn with `probability`."""

    experiment: str
    variant: str
    query: str
    item_id: str
    segment: Segment
    band: int
    mass: float
    probability: float


def draw(
    shown: Exposures,
    *,
    experiment: str,
    visitors: Mapping[str, float],
    pairs: int,
    seed: int,
) -> list[Drawn]:
    """Draw about `pairs` pairs for each variant, half of them of head queries where there are any.

    The same seed draws the same pairs.
    """
    segments = [segment_of(query, visitors) for query in shown.queries]
    bands = np.searchsorted(BANDS, shown.scores, side="right").tolist()
    strata: dict[tuple[str, Segment, int], list[int]] = defaultdict(list)
    for row, stratum in enumerate(zip(shown.variants, segments, bands, strict=True)):
        strata[stratum].append(row)
    sizes = _sizes(shown, strata, pairs)
    drawn = []
    for stratum, rows in sorted(strata.items()):
        variant, segment, band = stratum
        probabilities = inclusion(shown.mass[rows], sizes[stratum])
        for row, probability in zip(rows, probabilities.tolist(), strict=True):
            pair = (shown.queries[row], shown.item_ids[row])
            if place("\0".join(pair), salt=f"audit/{seed}") < probability:
                mass = float(shown.mass[row])
                drawn.append(Drawn(experiment, variant, *pair, segment, band, mass, probability))
    return drawn


def inclusion(mass: Float64[np.ndarray, " pairs"], size: float) -> Float64[np.ndarray, " pairs"]:
    """Probabilities proportional to mass, at most 1, that sum to `size` (or to all there are)."""
    if size >= len(mass):
        return np.ones(len(mass))
    certain = np.zeros(len(mass), np.bool_)
    while True:
        left = mass[~certain].sum()
        probabilities = np.where(certain, 1.0, (size - certain.sum()) * mass / left)
        over = (probabilities >= 1) & ~certain
        if not over.any():
            return probabilities
        certain |= over


def write_design(path: Path, drawn: Sequence[Drawn]) -> None:
    """Write what was drawn as Parquet, crash-safe; `read_design` reads it back."""
    schema = pa.schema(list(COLUMNS.required.items()), metadata={"format": FORMAT})
    rows = [{name: getattr(one, name) for name in schema.names} for one in drawn]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary, compression="zstd")


def read_design(path: Path) -> list[Drawn]:
    """Read a design; raises `BadInput` naming what is wrong with it."""
    rows = read_table(path, COLUMNS).to_pylist()
    for number, row in enumerate(rows, start=1):
        if not (0 < row["probability"] <= 1 and row["mass"] > 0):
            raise BadInput(f"{path}: row {number}: expected a probability in (0, 1] and a mass")
    return [Drawn(**{**row, "segment": Segment(row["segment"])}) for row in rows]


def _sizes(
    shown: Exposures, strata: Mapping[tuple[str, Segment, int], list[int]], pairs: int
) -> dict[tuple[str, Segment, int], float]:
    """Neyman's allocation inside each variant's head and tail, the score taken for the rate."""
    weights: dict[tuple[str, Segment, int], float] = {}
    totals: dict[tuple[str, Segment], float] = defaultdict(float)
    segments: dict[str, set[Segment]] = defaultdict(set)
    for (variant, segment, band), rows in strata.items():
        mass = shown.mass[rows]
        rate = float(np.average(shown.scores[rows], weights=mass))
        weight = float(mass.sum()) * max(float(np.sqrt(max(rate * (1 - rate), 0))), LEAST_SPREAD)
        weights[variant, segment, band] = weight
        totals[variant, segment] += weight
        segments[variant].add(segment)
    return {
        (variant, segment, band): pairs / len(segments[variant]) * weight / totals[variant, segment]
        for (variant, segment, band), weight in weights.items()
    }
