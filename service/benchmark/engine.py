"""The engine without HTTP or store: what scoring and encoding cost by size, and the floor.

    python -m service.benchmark.engine BUNDLE          one JSON line in, one out, until input ends

    {"score": {candidates, items, query_tokens, rows}, "repeats": n}   seconds of each run
    {"encode": tokens, "repeats": n}                                    seconds of each run
    {"floor": {items, rows}, "repeats": n}                              see `floor`

Arenas are made up and lie in memory; candidates are drawn anew for each run, so that no cache
learns them. Runs go in chunks as the service's do, on one thread.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Int64, UInt8

from relevance.bundle import BundleManifest, read_bundle
from relevance.late_interaction import QUERY_LIMIT, QuantisedQuery
from service.encoder import OnnxTokenEncoder
from service.scorer import CHUNK, Scorer, open_scorer

WORDS = ("red", "steel", "water", "bottle", "oak", "desk", "blue", "cotton", "shoe", "lamp")
IN_CACHE = 64  # items: 256 KB at 32 rows of 128, so they stay in a core's own cache
FLOOR_CANDIDATES = 1000
COPIES = 4
BLOCK = 1 << 16  # items made up at once


class Engine:
    """A bundle's graphs over arenas that are made up when first asked for."""

    def __init__(self, folder: Path, bundle: BundleManifest) -> None:
        self._bundle = bundle
        self._encoder = OnnxTokenEncoder.read(folder, bundle)
        self._scorer: Scorer = open_scorer(folder, bundle)[0]
        self._random = np.random.default_rng(0)
        self._arena = np.empty((0, 0, bundle.dim), np.uint8)

    def answer(self, asked: dict[str, Any]) -> object:
        """The answer to one line."""
        repeats = int(asked.get("repeats", 1))
        if "encode" in asked:
            return self.encode(int(asked["encode"]), repeats)
        if "floor" in asked:
            return self.floor(repeats=repeats, **asked["floor"])
        return self.score(repeats=repeats, **asked["score"])

    def score(
        self, *, candidates: int, items: int, query_tokens: int, rows: int, repeats: int
    ) -> list[float]:
        """Seconds of scoring so many random items of an arena, chunk by chunk."""
        arena, query = self._arena_of(items, rows), self._query(query_tokens)
        lists = [self._random.integers(items, size=candidates) for _ in range(repeats + 1)]
        return [_seconds(partial(self._run, query, arena, positions)) for positions in lists][1:]

    def encode(self, tokens: int, repeats: int) -> list[float]:
        """Seconds of encoding a text of so many words of one token each."""
        texts = [" ".join(self._random.choice(WORDS, tokens)) for _ in range(repeats + 1)]
        work = partial(self._encoder.encode, limit=tokens)
        return [_seconds(partial(work, text)) for text in texts][1:]

    def floor(self, *, items: int, rows: int, repeats: int) -> dict[str, float]:
        """What this machine does at best, on one thread: bytes and multiply-adds a second.

        `copied`: a large block, from memory to memory, counted once. `gathered`: random items'
        rows into one block. `multiplied`: the graph itself, on items that lie in the cache.
        """
        arena, bundle = self._arena_of(items, rows), self._bundle
        picks = [self._random.integers(items, size=FLOOR_CANDIDATES) for _ in range(repeats)]
        into = np.empty((FLOOR_CANDIDATES, rows, bundle.dim), np.uint8)
        gathered = [
            _seconds(partial(np.take, arena, pick, axis=0, out=into, mode="clip")) for pick in picks
        ]
        half = len(arena) // 2
        copy = partial(np.copyto, arena[half : 2 * half], arena[:half])
        copied = [_seconds(copy) for _ in range(COPIES)]
        query, tokens = self._query(64), 64
        near = np.tile(np.arange(IN_CACHE), CHUNK // IN_CACHE)
        run = partial(self._scorer.score, query, arena[:IN_CACHE], near)
        multiplied = [_seconds(run) for _ in range(repeats + 1)][1:]
        return {
            "copied_bytes_per_second": half * rows * bundle.dim / min(copied),
            "gathered_bytes_per_second": into.nbytes / float(np.median(gathered)),
            "multiply_adds_per_second": CHUNK * rows * bundle.dim * tokens / min(multiplied),
        }

    def _run(
        self,
        query: QuantisedQuery,
        arena: UInt8[np.ndarray, "items rows dim"],
        positions: Int64[np.ndarray, " candidates"],
    ) -> None:
        for start in range(0, len(positions), CHUNK):
            self._scorer.score(query, arena, positions[start : start + CHUNK])

    def _query(self, tokens: int) -> QuantisedQuery:
        shape = (tokens, self._bundle.dim)
        steps = self._random.integers(-QUERY_LIMIT, QUERY_LIMIT + 1, shape, dtype=np.int8)
        return QuantisedQuery(steps, np.full(tokens, 0.01, np.float32))

    def _arena_of(self, items: int, rows: int) -> UInt8[np.ndarray, "items rows dim"]:
        """An arena of this shape; the one before is let go first, for it may be large."""
        if self._arena.shape[:2] != (items, rows):
            shape = (items, rows, self._bundle.dim)
            self._arena = np.empty((0, 0, 0), np.uint8)
            arena = np.empty(shape, np.uint8)
            made = self._random.integers(1, 255, (min(items, BLOCK), *shape[1:]), np.uint8)
            for start in range(0, items, BLOCK):
                arena[start : start + BLOCK] = made[: min(BLOCK, items - start)]
            self._arena = arena
        return self._arena


def main(folder: Path) -> None:
    """Answer lines until there are none."""
    engine = Engine(folder, read_bundle(folder))
    for line in sys.stdin.buffer:
        reply = msgspec.json.encode(engine.answer(msgspec.json.decode(line)))
        sys.stdout.buffer.write(reply + b"\n")
        sys.stdout.buffer.flush()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]))
