"""How many of the best items candidates hold, and what finding them costs, on a real catalogue.

recall@100: of the 100 items that exhaustive MaxSim puts first, the share among the candidates.
Times are of one thread's processor time, which a busy machine does not stretch.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from relevance.late_interaction import QuantisedQuery
from service.candidates.index import PROBED_SHARE, CandidateIndex, factory, make_index
from service.candidates.pooled import query_vectors
from service.scorer import CHUNK, Scorer
from service.store.generation_reader import GenerationReader

BEST = 100
DEPTHS = (100, 300, 1000)
SIZES = (1000, 2000, 5000, 10_000, 20_000, 50_000)
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Recall:
    """One row of the table; times are medians in milliseconds."""

    span: int
    vectors: int
    index: str
    megabytes: float
    depth: int
    recall: float
    least: float
    find_ms: float
    score_ms: float


@dataclass(frozen=True, slots=True)
class Size:
    """What a search of a catalogue of so many items takes either way, in milliseconds."""

    items: int
    exhaustive_ms: float
    candidates_ms: float


def measure_recall(
    generation: GenerationReader,
    queries: Sequence[QuantisedQuery],
    scorer: Scorer,
    *,
    spans: Sequence[int],
    say: Say,
) -> Iterator[Recall]:
    """Recall and cost by span and depth against scoring every item."""
    rows = np.flatnonzero(generation.token_counts[: generation.manifest.items])
    best = [best_rows(generation, query, scorer, rows) for query in queries]
    for span in spans:
        say(f"span {span}")
        index = make_index(generation, span=span)
        for depth in DEPTHS:
            yield _recall(generation, queries, scorer, best, (index, span, depth))


def measure_sizes(
    generation: GenerationReader, queries: Sequence[QuantisedQuery], scorer: Scorer
) -> Iterator[Size]:
    """Exhaustive search beside candidates at the default depth, for growing catalogues."""
    all_of_them = generation.manifest.items
    for items in (*(size for size in SIZES if size < all_of_them), all_of_them):
        part = _first(generation, items)
        rows, index = np.arange(items), make_index(part)
        everything, some = [], []
        for query in queries:
            everything.append(_milliseconds(_score, part, query, scorer, rows))
            some.append(_milliseconds(_search, part, query, scorer, index))
        yield Size(items, float(np.median(everything)), float(np.median(some)))


def best_rows(
    generation: GenerationReader,
    query: QuantisedQuery,
    scorer: Scorer,
    rows: Int64[np.ndarray, " rows"],
) -> Int64[np.ndarray, " best"]:
    """The rows that exact MaxSim puts first, equal ones by row."""
    return rows[np.argsort(-_score(generation, query, scorer, rows), kind="stable")[:BEST]]


def _recall(
    generation: GenerationReader,
    queries: Sequence[QuantisedQuery],
    scorer: Scorer,
    best: Sequence[Int64[np.ndarray, " best"]],
    what: tuple[CandidateIndex, int, int],
) -> Recall:
    index, span, depth = what
    found, find_ms, score_ms = [], [], []
    for query, wanted in zip(queries, best, strict=True):
        began = time.thread_time()
        near = np.sort(index.nearest(query_vectors(query), depth=depth))
        find_ms.append((time.thread_time() - began) * 1e3)
        score_ms.append(_milliseconds(_score, generation, query, scorer, near))
        found.append(len(np.intersect1d(near, wanted)) / len(wanted))
    vectors = len(index.owners)
    return Recall(
        span=span,
        vectors=vectors,
        index=factory(vectors) + (f" 1/{PROBED_SHARE}" if "IVF" in factory(vectors) else ""),
        megabytes=vectors * generation.manifest.dim / 1e6,
        depth=depth,
        recall=float(np.mean(found)),
        least=float(np.min(found)),
        find_ms=float(np.median(find_ms)),
        score_ms=float(np.median(score_ms)),
    )


def _search(
    generation: GenerationReader, query: QuantisedQuery, scorer: Scorer, index: CandidateIndex
) -> None:
    near = index.nearest(query_vectors(query), depth=DEPTHS[-1])
    _score(generation, query, scorer, np.sort(near))


def _score(
    generation: GenerationReader,
    query: QuantisedQuery,
    scorer: Scorer,
    rows: Int64[np.ndarray, " rows"],
) -> np.ndarray:
    parts = [
        scorer.score(query, generation.arena, rows[start : start + CHUNK]).logits
        for start in range(0, len(rows), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _milliseconds(work: Callable[..., object], *arguments: object) -> float:
    began = time.thread_time()
    work(*arguments)
    return (time.thread_time() - began) * 1e3


def _first(generation: GenerationReader, items: int) -> GenerationReader:
    """A generation's first items, as one that has no others."""
    base = replace(
        generation.base, manifest=generation.manifest.model_copy(update={"items": items})
    )
    return replace(generation, base=base)
