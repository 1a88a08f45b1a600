"""Draws the pairs worth a large model's time: head and tail, agreement and disagreement alike.

Every stratum (traffic of the query × how far two cheap judges are apart) gets the same number of
pairs as far as it has them, so that rare and disputed pairs are not drowned by easy ones; a weight
beside each pair undoes that in estimates. Which pairs there are to draw from is the caller's.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.errors import BadInput
from relevance.records import Pair

HEAD_VISITORS = 10  # a query with more unique visitors is head (paper, 4.6)
_MILD, _STRONG = 0.2, 0.5  # difference of probabilities from which two judges disagree


class Traffic(StrEnum):
    """Whether many ask a query. UNKNOWN: no query log was given."""

    HEAD = "head"
    TAIL = "tail"
    UNKNOWN = "unknown"


class Dispute(StrEnum):
    """How far teacher and student are apart in probability.

    AGREED: less than 0.2; MILD: less than 0.5; STRONG: more; UNKNOWN: one of them is silent.
    """

    AGREED = "agreed"
    MILD = "mild"
    STRONG = "strong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Stratum:
    """A group of pairs that are drawn from alike."""

    traffic: Traffic
    dispute: Dispute

    def __str__(self) -> str:
        return f"{self.traffic}-{self.dispute}"


PairKey = tuple[str, str]  # query, item_id


@dataclass(frozen=True)
class Strata:
    """What is known of pairs: unique visitors of queries, and both judges' probabilities."""

    visitors: Mapping[str, int] | None = None
    teacher: Mapping[PairKey, float] | None = None
    student: Mapping[PairKey, float] | None = None

    def of(self, pair: Pair) -> Stratum:
        """The pair's stratum."""
        return Stratum(self._traffic(pair), self._dispute(pair))

    def _traffic(self, pair: Pair) -> Traffic:
        if self.visitors is None:
            return Traffic.UNKNOWN
        return Traffic.HEAD if self.visitors.get(pair.query, 0) > HEAD_VISITORS else Traffic.TAIL

    def _dispute(self, pair: Pair) -> Dispute:
        key = (pair.query, pair.item_id)
        told = [judge.get(key) for judge in (self.teacher or {}, self.student or {})]
        if told[0] is None or told[1] is None:
            return Dispute.UNKNOWN
        apart = abs(told[0] - told[1])
        return (
            Dispute.AGREED if apart < _MILD else Dispute.MILD if apart < _STRONG else Dispute.STRONG
        )


@dataclass(frozen=True)
class Drawn:
    """The sample in the order of its input, each pair with its stratum and weight.

    `of` counts the pairs that each stratum holds, `taken` those drawn from it.
    """

    pairs: tuple[tuple[Pair, Stratum], ...]
    of: Mapping[Stratum, int]
    taken: Mapping[Stratum, int]

    def weight(self, stratum: Stratum) -> float:
        """How many pairs of its stratum a drawn one stands for."""
        return self.of[stratum] / self.taken[stratum]


def draw_pairs(pairs: Iterable[Pair], strata: Strata, *, number: int, seed: int = 0) -> Drawn:
    """Draw `number` pairs, as evenly over the strata as they allow; all where there are fewer.

    Which pairs of a stratum are drawn depends on seed and pair alone, not on order or neighbours.
    One pass; memory grows with `number`, not with the pairs.
    """
    if number < 1:
        raise BadInput(f"sample: expected at least one pair to draw, got {number}")
    of: Counter[Stratum] = Counter()
    kept: dict[Stratum, list[tuple[int, int, Pair]]] = {}
    for at, pair in enumerate(pairs):
        stratum = strata.of(pair)
        of[stratum] += 1
        heap, entry = kept.setdefault(stratum, []), (-_chance(pair, seed), -at, pair)
        if len(heap) < number:
            heapq.heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            heapq.heapreplace(heap, entry)
    taken = shares({stratum: len(heap) for stratum, heap in kept.items()}, number)
    drawn = [
        (-at, pair, stratum)
        for stratum, heap in kept.items()
        for _, at, pair in sorted(heap, key=lambda e: e[:2], reverse=True)[: taken[stratum]]
    ]
    in_order = sorted(drawn, key=lambda entry: entry[0])
    return Drawn(tuple((pair, stratum) for _, pair, stratum in in_order), dict(of), taken)


def shares(available: Mapping[Stratum, int], number: int) -> dict[Stratum, int]:
    """How many to take of each stratum: equally many, what one lacks going to the others."""
    taken = dict.fromkeys(sorted(available), 0)
    left = min(number, sum(available.values()))
    while left:
        open_ones = [s for s in taken if taken[s] < available[s]]
        each = max(left // len(open_ones), 1)
        for stratum in open_ones[:left]:
            more = min(each, available[stratum] - taken[stratum])
            taken[stratum] += more
            left -= more
    return taken


def write_drawn(path: Path, drawn: Drawn) -> None:
    """Write the sample as a pairs file with two more columns, `stratum` and `weight`."""
    rows = [
        {
            "query": pair.query,
            "item_id": pair.item_id,
            "good": None if pair.good is None else int(pair.good),
            "subset": pair.subset,
            "stratum": str(stratum),
            "weight": drawn.weight(stratum),
        }
        for pair, stratum in drawn.pairs
    ]
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), temporary, compression="zstd")


_SCHEMA = pa.schema(
    {
        "query": pa.string(),
        "item_id": pa.string(),
        "good": pa.int8(),
        "subset": pa.string(),
        "stratum": pa.string(),
        "weight": pa.float64(),
    }
)


def _chance(pair: Pair, seed: int) -> int:
    text = f"{seed} {len(pair.query)} {pair.query}{pair.item_id}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
