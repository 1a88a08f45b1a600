"""The candidate index of one generation: FAISS over its base's pooled vectors.

Made from a generation's arena and kept beside it. Deltas are not in it: their items are scored
anyway (`search.py`); items that are gone are left out while searching.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from relevance.generation import GenerationManifest, StorePaths
from service.candidates.pooled import PooledItems, pool
from service.derived import derived_folder, read_derived, write_derived
from service.store.generation_reader import GenerationReader

KIND = "candidates"
INDEX, STARTS = "vectors.faiss", "vector_starts.u64"
SPAN = 1  # neighbouring tokens a vector: with fewer vectors recall was too low (docs/search.md)
MANY_VECTORS = 50_000  # from here on probing some lists is quicker than scanning all vectors
PROBED_SHARE = 16  # one list in so many
MOST_LISTS = 8192
TRAINED_A_LIST = 40  # vectors; FAISS asks for 39
VECTORS_A_DEPTH = 4  # vectors asked for by each query token at most, for each item wanted
ITEMS_AT_A_TIME = 4096  # 64 MB of float32 for 32 rows of 128


@dataclass(frozen=True, slots=True)
class CandidateIndex:
    """Finds the base's items nearest to a query; safe to share between threads.

    Item k's vectors are `starts[k] : starts[k + 1]`; `owners` says whose each vector is.
    """

    index: Any  # faiss.Index
    starts: Int64[np.ndarray, " items_and_one"]
    owners: Int64[np.ndarray, " vectors"]

    @classmethod
    def of(cls, index: Any, starts: Int64[np.ndarray, " items_and_one"]) -> "CandidateIndex":
        """An index and where each item's vectors lie in it."""
        return cls(index, starts, np.repeat(np.arange(len(starts) - 1), np.diff(starts)))

    def nearest(
        self,
        query: Float32[np.ndarray, "query_tokens dim"],
        *,
        depth: int,
        live: UInt8[np.ndarray, " bitmap"] | None = None,
        probed_share: int = PROBED_SHARE,
    ) -> Int64[np.ndarray, " rows"]:
        """Rows of the `depth` likeliest items, the likeliest first; `live` as `bitmap` makes it.

        Each query token finds its nearest vectors. An item's likelihood is the mean over query
        tokens of the best cosine found; where a token did not find the item, the least one it
        found stands in, for the item's own is at most that.
        """
        faiss.omp_set_num_threads(1)  # of this thread: requests are what runs side by side
        vectors_an_item = len(self.owners) / max(1, len(self.starts) - 1)
        wanted = min(int(min(VECTORS_A_DEPTH, vectors_an_item) * depth), len(self.owners))
        parameters = self._parameters(live, probed_share)
        cosines, vectors = self.index.search(query, wanted, params=parameters)
        found = vectors >= 0
        rows = np.unique(self.owners[vectors[found]])
        best = np.empty((len(query), len(rows)), np.float32)
        for token, is_found in enumerate(found):
            mine = cosines[token][is_found]
            best[token] = mine.min(initial=1.0)
            places = np.searchsorted(rows, self.owners[vectors[token][is_found]])
            np.maximum.at(best[token], places, mine)
        order = np.argsort(-best.mean(axis=0), kind="stable")
        return rows[order[:depth]]

    def bitmap(self, gone: Int64[np.ndarray, " rows"]) -> UInt8[np.ndarray, " bitmap"] | None:
        """One bit a vector, unset for those of items that are gone; None where none is."""
        if not len(gone):
            return None
        is_live = np.ones(-(-len(self.owners) // 8) * 8, np.bool_)
        for row in gone.tolist():
            is_live[self.starts[row] : self.starts[row + 1]] = False
        return np.packbits(is_live, bitorder="little")

    def _parameters(self, live: UInt8[np.ndarray, " bitmap"] | None, probed_share: int) -> Any:
        chosen: dict[str, Any] = {}
        if live is not None:
            chosen["sel"] = faiss.IDSelectorBitmap(live)  # type: ignore[call-arg, arg-type]
        if isinstance(self.index, faiss.IndexIVF):
            lists = max(1, self.index.nlist // probed_share)
            return faiss.SearchParametersIVF(nprobe=lists, **chosen)  # type: ignore[call-arg]
        return faiss.SearchParameters(**chosen)


def make_index(
    generation: GenerationReader, *, span: int = SPAN, kind: str | None = None
) -> CandidateIndex:
    """The index of a generation's base; `kind` is FAISS's name of it, `factory`'s by default."""
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    items = generation.manifest.items
    dim = generation.manifest.dim * 8 // generation.manifest.bits
    counts = -(-generation.token_counts[:items].astype(np.int64) // span)
    starts = np.concatenate([[0], np.cumsum(counts)])
    kind = kind or factory(int(starts[-1]))
    index = faiss.index_factory(dim, kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        index.train(_sampled(generation, starts, span=span))
    for pooled in _pooled(generation, span):
        index.add(pooled.vectors)
    return CandidateIndex.of(index, starts)


def build_candidates(store: StorePaths, generation: GenerationReader, *, span: int = SPAN) -> Path:
    """Make a generation's candidate index and keep it beside it; returns the folder."""

    def write(folder: Path) -> dict[str, str | int]:
        made = make_index(generation, span=span)
        faiss.write_index(made.index, str(folder / INDEX))
        made.starts.astype("<u8").tofile(folder / STARTS)
        vectors = int(made.starts[-1])
        return {"span": span, "factory": factory(vectors), "faiss": faiss.__version__}

    folder = derived_folder(store, KIND, generation.generation_id)
    write_derived(folder, KIND, generation.manifest, write)
    return folder


def read_candidates(store: StorePaths, generation: GenerationManifest) -> CandidateIndex:
    """A generation's candidate index, checked; raises `BadGeneration` where it is not there."""
    folder = derived_folder(store, KIND, generation.generation_id)
    read_derived(folder, KIND, generation, [INDEX, STARTS], root=store.root)
    index = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_MMAP_IFC)
    return CandidateIndex.of(index, np.fromfile(folder / STARTS, "<u8").astype(np.int64))


def factory(vectors: int) -> str:
    """FAISS's name of the index for so many vectors: bytes a dimension, in lists where many.

    4·√vectors lists, as FAISS's guidelines advise; training more of them would take long.
    """
    lists = min(MOST_LISTS, int(4 * np.sqrt(vectors)))
    return "SQ8" if vectors < MANY_VECTORS else f"IVF{lists},SQ8"


def _sampled(
    generation: GenerationReader, starts: Int64[np.ndarray, " items_and_one"], *, span: int
) -> Float32[np.ndarray, "vectors dim"]:
    """Vectors of some items drawn at random, enough to train the lists."""
    items, wanted = len(starts) - 1, TRAINED_A_LIST * MOST_LISTS
    share = min(1.0, wanted / max(1, int(starts[-1])))
    drawn = np.random.default_rng(0).permutation(items)[: int(np.ceil(share * items))]
    rows = np.sort(drawn)
    pooled = _pool(generation, rows, span)
    lists = min(MOST_LISTS, int(4 * np.sqrt(int(starts[-1]))))
    keep = np.random.default_rng(1).permutation(len(pooled.vectors))[: TRAINED_A_LIST * lists]
    return pooled.vectors[np.sort(keep)]


def _pooled(generation: GenerationReader, span: int) -> Iterator[PooledItems]:
    for start in range(0, generation.manifest.items, ITEMS_AT_A_TIME):
        rows = slice(start, min(start + ITEMS_AT_A_TIME, generation.manifest.items))
        yield _pool(generation, rows, span)


def _pool(
    generation: GenerationReader, rows: slice | Int64[np.ndarray, " rows"], span: int
) -> PooledItems:
    arena, counts = generation.arena[rows], generation.token_counts[rows]
    return pool(arena, counts, span=span, bits=generation.manifest.bits)
