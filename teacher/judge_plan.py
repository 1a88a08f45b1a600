"""What a judging job has to do: which pairs, in which shards, and how its run is told apart.

Pairs that come twice are judged once, where they come first. No judge is known here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.folds import FoldAssignment
from relevance.records import Pair
from teacher.judge_pairs import SEEN, item_of
from teacher.judgement_stream import stream_pairs

_KEY_BYTES = 16  # of a pair's hash: two of 30 million pairs never share one


@dataclass(frozen=True, slots=True)
class ShardWork:
    """A shard's pairs with their items, complete in itself: it can be judged on any machine.

    `held_out_of` says of each pair what its judgements will.
    """

    number: int
    pairs: tuple[Pair, ...]
    items: tuple[Item, ...]
    held_out_of: tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class JudgePlan:
    """The pairs of a file, each once, cut into shards of `shard_pairs`."""

    path: Path
    is_first: Bool[np.ndarray, " rows"]
    digest: str
    shard_pairs: int

    @property
    def pairs(self) -> int:
        """How many pairs are judged."""
        return int(self.is_first.sum())

    @property
    def repeated(self) -> int:
        """How many rows repeat an earlier one."""
        return len(self.is_first) - self.pairs

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.pairs // self.shard_pairs)

    def work(
        self,
        items: Mapping[str, Item],
        *,
        held_out: "HeldOut",
        done: frozenset[int] = frozenset(),
    ) -> Iterator[ShardWork]:
        """Every shard that is not done, in order; raises `BadInput` where an item is missing."""
        every = zip(stream_pairs(self.path), self.is_first, strict=True)
        rows = (pair for pair, is_first in every if is_first)
        for number in range(self.shards):
            pairs = tuple(islice(rows, self.shard_pairs))
            if number not in done:
                yield ShardWork(
                    number,
                    pairs,
                    tuple(item_of(items, pair) for pair in pairs),
                    tuple(held_out.of(pair) for pair in pairs),
                )


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Which labelled pairs a judge had not seen: those tested in `fold`; without folds, none."""

    assignment: FoldAssignment | None = None
    fold: int = 0

    def of(self, pair: Pair) -> str | None:
        """`outer-<fold>`, `seen`, or None for a pair without a label."""
        if pair.good is None:
            return None
        if self.assignment is None or self.assignment.fold_of(pair) != self.fold:
            return SEEN
        return f"outer-{self.fold}"

    @property
    def name(self) -> str:
        """What tells two of them apart."""
        return "" if self.assignment is None else f"{self.assignment.hash}:{self.fold}"


def plan_judging(path: Path, *, shard_pairs: int) -> JudgePlan:
    """Read the pairs once: which rows are first, and a digest over all of them.

    Memory: some 50 bytes a row while sorting. Raises `BadInput` where a row is no pair.
    """
    keys, whole = bytearray(), hashlib.sha256()
    for pair in stream_pairs(path):
        key = _key(pair)
        keys += key
        whole.update(key + _LABELS[pair.good])
    if not keys:
        raise BadInput(f"{path}: expected at least one pair, got none")
    return JudgePlan(path, _first_ones(keys), whole.hexdigest()[:16], shard_pairs)


_LABELS = {None: b"-", False: b"0", True: b"1"}


def _key(pair: Pair) -> bytes:
    text = f"{len(pair.query)} {pair.query}{pair.item_id}".encode()
    return hashlib.blake2b(text, digest_size=_KEY_BYTES).digest()


def _first_ones(keys: bytes | bytearray) -> Bool[np.ndarray, " rows"]:
    rows = np.frombuffer(keys, dtype=f"V{_KEY_BYTES}")
    _, first = np.unique(rows, return_index=True)
    is_first = np.zeros(len(rows), np.bool_)
    is_first[first] = True
    return is_first
