"""Fakes of the service's doors, for tests here and elsewhere: an encoder, a store, a teacher.

They are deterministic and need no files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from jaxtyping import Int64, UInt8

from relevance.domain import AspectFinding, Item, Judgement, Target, Verdict, conclude
from relevance.text import normalise
from service.encoder import TokenEmbeddings, TokenOffsets
from service.item_codec import ItemCodec


@dataclass(frozen=True, slots=True)
class WordEncoder:
    """Each word is a token; its vector depends on the folded word alone."""

    dim: int

    def tokenise(self, text: str, *, limit: int) -> TokenOffsets:
        """Where the first `limit` words lie."""
        words = [match.span() for match in re.finditer(r"\S+", normalise(text))]
        return TokenOffsets(tuple(words[:limit]), len(words) > limit)

    def encode(self, text: str, *, limit: int) -> TokenEmbeddings:
        """A pseudo-random unit vector for each word."""
        found, text = self.tokenise(text, limit=limit), normalise(text)
        vectors = np.empty((len(found.offsets), self.dim), np.float32)
        for at, (start, end) in enumerate(found.offsets):
            vectors[at] = self._vector(text[start:end].casefold())
        return TokenEmbeddings(vectors, found.offsets, found.truncated)

    def _vector(self, word: str) -> np.ndarray:
        random = np.random.default_rng(xxhash.xxh3_64_intdigest(word.encode()))
        direction = random.normal(size=self.dim)
        return direction / np.linalg.norm(direction)


@dataclass(frozen=True, slots=True)
class ItemsInMemory:
    """An `ItemStore` of a few items."""

    items: tuple[Item, ...]
    arena: UInt8[np.ndarray, "items rows dim"]
    token_counts: UInt8[np.ndarray, " items"]
    truncated: UInt8[np.ndarray, " items"]
    generation_id: str = "in-memory"
    sequence: int = 0

    def rows_of(self, item_ids: Sequence[str]) -> Int64[np.ndarray, " ids"]:
        """The row of each id, -1 where there is none."""
        rows = {item.item_id: row for row, item in enumerate(self.items)}
        return np.array([rows.get(item_id, -1) for item_id in item_ids], np.int64)

    def item(self, row: int) -> Item:
        """The item at a row."""
        return self.items[row]


def items_in_memory(items: Sequence[Item], codec: ItemCodec) -> ItemsInMemory:
    """A store of these items, encoded with `codec`."""
    encoded = codec.encode([codec.text(item) for item in items])
    return ItemsInMemory(
        items=tuple(items),
        arena=encoded.embeddings,
        token_counts=encoded.token_counts,
        truncated=encoded.truncated.astype(np.uint8),
    )


@dataclass(frozen=True, slots=True)
class WordJudge:
    """An `Explainer`: the item's title says the query's first word, or the pair mismatches."""

    threshold: float = 0.5

    def judge(self, query: str, item: Item) -> Judgement:
        """Good with log-odds 2, Bad with −2."""
        wanted = query.split()[0]
        is_said = wanted.casefold() in item.title.casefold()
        verdict = Verdict.MATCH if is_said else Verdict.MISSING
        finding = AspectFinding("product", wanted, wanted if is_said else None, verdict)
        score = 0.88 if is_said else 0.12
        return Judgement(
            judge="teacher:word",
            query=query,
            item_id=item.item_id,
            target=Target.DIRECT,
            log_odds=2.0 if is_said else -2.0,
            fingerprint="word/1",
            chain_of_thought=conclude((finding,), score=score, threshold=self.threshold),
        )
