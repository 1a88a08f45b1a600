"""A generation's token embeddings in a FAISS index, rows of an item next to each other.

A request's items are reconstructed into an arena of its own and scored as ever. Two codecs:

    flat    the arena's bytes as they are, without its repeated rows: the same scores, bit for bit
    pq      product quantisation, `dim / 4` bytes a token: a quarter of the bytes a token, and
            scores within the codec's error, which `ellm store tokens` tells

Deltas are read from the generation itself; so are ids, counts and the catalogue's fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.generation import StorePaths
from relevance.late_interaction import ITEM_LIMIT, ITEM_ZERO_POINT
from service.derived import derived_folder, read_derived, write_derived
from service.store.found import UNKNOWN, Found
from service.store.generation_reader import GenerationReader

KIND = "faiss"
TOKENS, STARTS = "tokens.faiss", "row_starts.u64"
ITEMS_AT_A_TIME = 4096
TRAINED_ON = 100_000  # tokens; 256 centroids need some 10,000
PQ_SHARE = 4  # dimensions a byte


class TokenCodec(StrEnum):
    """FLAT keeps every byte, PQ a quarter of them."""

    FLAT = "flat"
    PQ = "pq"


@dataclass(frozen=True, slots=True)
class FaissItems:
    """An `ItemStore` whose base lies in FAISS; item k's tokens are `starts[k] : starts[k + 1]`.

    `generation` tells ids, counts and fields, and holds the rows that deltas brought.
    """

    generation: GenerationReader
    tokens: Any  # faiss.Index
    starts: Int64[np.ndarray, " items_and_one"]
    codec: TokenCodec

    @property
    def generation_id(self) -> str:
        """The generation the snapshot shows."""
        return self.generation.generation_id

    @property
    def sequence(self) -> int:
        """The number of changes applied on top of the generation."""
        return self.generation.sequence

    @property
    def arena(self) -> UInt8[np.ndarray, "items rows dim"]:
        """No rows: those of a request come from `find`."""
        return self.generation.arena[:0]

    @property
    def token_counts(self) -> UInt8[np.ndarray, " items"]:
        """Real tokens of every item; 0 = the item has no text."""
        return self.generation.token_counts

    @property
    def truncated(self) -> UInt8[np.ndarray, " items"]:
        """1 where an item's text was cut."""
        return self.generation.truncated

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The generation's row of each id, -1 where it is unknown; to be read through `find`."""
        return self.generation.rows_of(item_ids)

    def item(self, row: int) -> Item:
        """The item at a row, as the catalogue had it."""
        return self.generation.item(row)

    def latest(self) -> Self:
        """This generation as of now: itself where nothing was appended since."""
        newer = self.generation.latest()
        return self if newer is self.generation else replace(self, generation=newer)

    def find(self, item_ids: Sequence[str]) -> Found:
        """The rows of a request's candidates: the base's reconstructed, those of deltas mapped."""
        generation = self.generation
        row = generation.rows_of(item_ids)
        base, place = np.unique(row[(row >= 0) & (row < len(self.starts) - 1)], return_inverse=True)
        in_base = (row >= 0) & (row < len(self.starts) - 1)
        own_row = row.copy()
        own_row[in_base] = place
        in_delta = row >= len(self.starts) - 1
        return Found(
            arenas=(self.reconstructed(base), generation.arena),
            arena=np.select([in_base, in_delta], [0, 1], UNKNOWN).astype(np.int16),
            row=own_row,
            token_counts=np.where(row >= 0, generation.token_counts[row], 0).astype(np.uint8),
            truncated=(row >= 0) & (generation.truncated[row] > 0),
        )

    def reconstructed(
        self, rows: Int64[np.ndarray, " rows"]
    ) -> UInt8[np.ndarray, "rows item_rows dim"]:
        """Arena rows of some base items; unused ones repeat the first token, as refresh has it."""
        shape = self.generation.manifest
        firsts = self.starts[rows]
        counts = self.starts[rows + 1] - firsts
        ends = np.cumsum(counts)
        wanted = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
            firsts - (ends - counts), counts
        )
        steps = steps_of(self.tokens.reconstruct_batch(wanted)) if len(wanted) else None
        arena = np.full((len(rows), shape.rows, shape.dim), ITEM_ZERO_POINT, np.uint8)
        if steps is not None:
            within = np.arange(shape.rows)
            place = (ends - counts)[:, None] + np.where(within < counts[:, None], within, 0)
            has_text = counts > 0
            arena[has_text] = steps[place[has_text]]
        return arena


def steps_of(vectors: Float32[np.ndarray, "tokens dim"]) -> UInt8[np.ndarray, "tokens dim"]:
    """What FAISS gave back, as the arena's steps."""
    least, most = ITEM_ZERO_POINT - ITEM_LIMIT, ITEM_ZERO_POINT + ITEM_LIMIT
    np.rint(vectors, out=vectors)
    return np.clip(vectors, least, most, out=vectors).astype(np.uint8)


def build_tokens(store: StorePaths, generation: GenerationReader, codec: TokenCodec) -> Path:
    """Make a generation's token store and keep it beside it; returns the folder."""

    if generation.manifest.bits != 8:
        raise BadInput(
            f"generation {generation.generation_id}: expected rows of 8 bits a value, got "
            f"{generation.manifest.bits}: such rows are smaller than FAISS would make them"
        )

    def write(folder: Path) -> dict[str, str | int]:
        index = _CODECS[codec](generation)
        starts = _add_tokens(index, generation)
        faiss.write_index(index, str(folder / TOKENS))
        starts.astype("<u8").tofile(folder / STARTS)
        return {"codec": codec.value, "tokens": int(index.ntotal), "faiss": faiss.__version__}

    folder = derived_folder(store, KIND, generation.generation_id)
    write_derived(folder, KIND, generation.manifest, write)
    return folder


def open_tokens(store: StorePaths, generation: GenerationReader) -> FaissItems:
    """A generation's token store, checked; raises `BadGeneration` where it is not there."""
    folder = derived_folder(store, KIND, generation.generation_id)
    manifest = read_derived(folder, KIND, generation.manifest, [TOKENS, STARTS], root=store.root)
    return FaissItems(
        generation=generation,
        tokens=faiss.read_index(str(folder / TOKENS), faiss.IO_FLAG_MMAP_IFC),
        starts=np.fromfile(folder / STARTS, "<u8").astype(np.int64),
        codec=TokenCodec(str(manifest.settings["codec"])),
    )


def codec_error(items: FaissItems, *, sample: int) -> float:
    """One minus the mean cosine between tokens as the arena has them and as FAISS gives them."""
    count = items.generation.manifest.items
    drawn = np.random.default_rng(0).permutation(count)[:sample]
    rows = np.sort(drawn[items.generation.token_counts[drawn] > 0])
    if not len(rows):
        return 0.0
    is_token = (
        np.arange(items.generation.arena.shape[1]) < items.generation.token_counts[rows, None]
    )
    exact = items.generation.arena[rows][is_token].astype(np.float64) - ITEM_ZERO_POINT
    near = items.reconstructed(rows)[is_token].astype(np.float64) - ITEM_ZERO_POINT
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(near, axis=1)
    return float(1 - np.mean((exact * near).sum(axis=1) / np.where(lengths > 0, lengths, 1)))


def _add_tokens(index: Any, generation: GenerationReader) -> Int64[np.ndarray, " items_and_one"]:
    items = generation.manifest.items
    counts = generation.token_counts[:items].astype(np.int64)
    for start in range(0, items, ITEMS_AT_A_TIME):
        index.add(_tokens(generation, np.arange(start, min(start + ITEMS_AT_A_TIME, items))))
    return np.concatenate([[0], np.cumsum(counts)])


def _tokens(
    generation: GenerationReader, rows: Int64[np.ndarray, " rows"]
) -> Float32[np.ndarray, "tokens dim"]:
    """The real tokens of some items, one after the other, as steps."""
    arena = generation.arena[rows]
    is_token = np.arange(arena.shape[1]) < generation.token_counts[rows, None]
    return arena[is_token].astype(np.float32)


def _flat(generation: GenerationReader) -> Any:
    kind = faiss.ScalarQuantizer.QT_8bit_direct
    return faiss.IndexScalarQuantizer(generation.manifest.dim, kind, faiss.METRIC_L2)


def _pq(generation: GenerationReader) -> Any:
    dim, items = generation.manifest.dim, generation.manifest.items
    index = faiss.IndexPQ(dim, max(1, dim // PQ_SHARE), 8)
    some = np.sort(np.random.default_rng(0).permutation(items)[: TRAINED_ON // 8])
    index.train(_tokens(generation, some)[:TRAINED_ON])
    return index


_CODECS = {TokenCodec.FLAT: _flat, TokenCodec.PQ: _pq}
