"""Fakes of the service's doors, for tests here and elsewhere: an encoder, a store, a teacher,
and a service that stands still.

They are deterministic and need no files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash
from anyio import CapacityLimiter
from jaxtyping import Int64, UInt8

from relevance.domain import AspectFinding, Item, Judgement, Target, Verdict, conclude
from relevance.text import normalise
from service.encoder import TokenEmbeddings, TokenOffsets
from service.experiments.experiments import Experiments
from service.explanations import Explanations
from service.item_codec import ItemCodec
from service.limits import Limits
from service.missing_texts import MissingTexts
from service.snapshot import Snapshot
from service.work import Work


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

    def encode_all(self, texts: Sequence[str], *, limit: int) -> list[TokenEmbeddings]:
        """Each encoded."""
        return [self.encode(text, limit=limit) for text in texts]

    def _vector(self, word: str) -> np.ndarray:
        random = np.random.default_rng(xxhash.xxh3_64_intdigest(word.encode()))
        direction = random.normal(size=self.dim)
        return direction / np.linalg.norm(direction)


@dataclass(frozen=True, slots=True)
class ItemsInMemory:
    """An `ItemStore` of a few items."""

    items: tuple[Item, ...] = field(repr=False)
    arena: UInt8[np.ndarray, "items rows dim"] = field(repr=False)
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
    fingerprint: str = "word/1"

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
            fingerprint=self.fingerprint,
            chain_of_thought=conclude((finding,), score=score, threshold=self.threshold),
        )


@dataclass(slots=True)
class TickingClock:
    """A clock on which every look takes one second."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time, one second later than at the last look."""
        self.now += 1.0
        return self.now


@dataclass(frozen=True, slots=True)
class WorkInMemory:
    """A `Telemetry` that keeps what it is told."""

    told: list[tuple[str, Work]] = field(default_factory=list)

    def record(self, route: str, work: Work) -> None:
        """Keep it."""
        self.told.append((route, work))


@dataclass(slots=True)
class StandingService:
    """What the answering routes need, without a life cycle: `snapshot` changes when told to."""

    snapshot: Snapshot
    limits: Limits = Limits()
    missing: MissingTexts = MissingTexts()
    explanations: Explanations = field(default_factory=lambda: Explanations([]))
    telemetry: WorkInMemory = field(default_factory=WorkInMemory)
    experiments: Experiments = field(default_factory=Experiments)
    scoring: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    explaining: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
