"""What every student is to the loop, the losses and the scorer: one small interface.

Two families: interaction students read query and item together; representation students encode
each alone, so items can be encoded before anyone asks. Which student is which stands in its file.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig

from relevance.domain import Side
from trainer.students.texts import TextBatch

INITIAL_WEIGHT = 12.0  # the logit's slope over a cosine before training (design §3, row 7)


class StudentKind(StrEnum):
    """The architectures; each member's value stands in a checkpoint's card.

    COLBERT: MaxSim over token embeddings. LITE: a learned scorer over their similarity matrix.
    SENTENCE_BERT: one vector a text. POLY_ENCODER: m vectors a query, one an item. REPRBERT: a
    vector a layer. BERT: reads query and item together.
    """

    COLBERT = "colbert"
    LITE = "lite"
    SENTENCE_BERT = "sentence_bert"
    POLY_ENCODER = "poly_encoder"
    REPRBERT = "reprbert"
    BERT = "bert"


@dataclass(frozen=True, slots=True, eq=False)
class PairTexts:
    """Distinct queries and items, and which row of each a pair's texts stand in: (pairs,)."""

    queries: TextBatch
    items: TextBatch
    query_rows: torch.Tensor
    item_rows: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TokenStates:
    """A side's contextual token states, real tokens first: (pairs, tokens, hidden)."""

    states: torch.Tensor
    is_token: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One forward pass over pairs.

    `logits` (pairs,) of Good; `nested` the logits of a student's smaller heads. What the chain of
    thought's losses look at is there only where it was asked for: `cosines` (pairs, query_tokens,
    item_tokens) of a representation student, `query_states` and `item_states` of an interaction
    one.
    """

    logits: torch.Tensor
    nested: tuple[torch.Tensor, ...] = ()
    cosines: torch.Tensor | None = None
    query_states: TokenStates | None = None
    item_states: TokenStates | None = None


class Student(nn.Module, ABC):
    """A judge with weights; `encoder` is the pretrained network in it."""

    kind: StudentKind

    @property
    @abstractmethod
    def encoder_config(self) -> PretrainedConfig:
        """The encoder's Hugging Face configuration."""

    @abstractmethod
    def judge(self, texts: PairTexts, *, evidence: bool) -> Judged:
        """Logits of the pairs, and with `evidence` what the chain of thought's losses need."""

    @abstractmethod
    def start(self, texts: PairTexts, items: TextBatch) -> None:
        """Set what no pretraining gave; deterministic.

        From some pairs' texts, and from a larger sample of items (where one per pair would cost
        too much memory, as all queries meet all items).
        """

    @abstractmethod
    def calibration(self) -> list[nn.Parameter]:
        """The parameters that place logits: own learning rate, no weight decay."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Texts as a representation student keeps them.

    `vectors` (texts, rows, dim) with `is_row` (texts, rows): what is compared, and cached for
    items. `tokens` (texts, positions, dim), unit length: what evidence is read off.
    """

    vectors: torch.Tensor
    is_row: torch.Tensor
    tokens: torch.Tensor

    def at(self, rows: torch.Tensor) -> "Encoded":
        """The texts in these places, one for each pair; without their tokens."""
        return Encoded(self.vectors[rows], self.is_row[rows], self.tokens[:0])


class RepresentationStudent(Student):
    """Encodes each text alone; a pair's logit is computed from two texts' vectors."""

    @abstractmethod
    def encode(self, batch: TextBatch, side: Side) -> Encoded:
        """Encode padded texts of one side."""

    @abstractmethod
    def meet(self, queries: Encoded, items: Encoded) -> torch.Tensor:
        """Logits of pairs, row by row: (pairs,)."""

    def judge(self, texts: PairTexts, *, evidence: bool) -> Judged:
        """Encode each distinct text once, then let the pairs meet."""
        queries = self.encode(texts.queries, Side.QUERY)
        items = self.encode(texts.items, Side.TITLE)
        logits = self.meet(queries.at(texts.query_rows), items.at(texts.item_rows))
        if not evidence:
            return Judged(logits)
        cosines = paired_similarities(
            queries.tokens, items.tokens, texts.query_rows, texts.item_rows
        )
        return Judged(logits, cosines=cosines)


class CosineLogit(nn.Module):
    """logit = softplus(raw_weight) · similarity + bias, the slope always positive."""

    def __init__(self) -> None:
        super().__init__()
        self.raw_weight = nn.Parameter(torch.tensor(INITIAL_WEIGHT))
        self.bias = nn.Parameter(torch.tensor(0.0))

    @property
    def weight(self) -> torch.Tensor:
        """The slope."""
        return functional.softplus(self.raw_weight)

    def forward(self, similarity: torch.Tensor) -> torch.Tensor:
        return self.weight * similarity.float() + self.bias

    @torch.no_grad()
    def centre(self, similarity: torch.Tensor) -> None:
        """Put the logit's zero at the median of these similarities."""
        self.bias.copy_(-self.weight * similarity.float().median())


def paired_similarities(
    queries: torch.Tensor, items: torch.Tensor, query_rows: torch.Tensor, item_rows: torch.Tensor
) -> torch.Tensor:
    """Dot products of the tokens of the pairs (query_rows[p], item_rows[p]) of distinct texts.

    (queries, query_tokens, dim), (items, item_tokens, dim), (pairs,), (pairs,) →
    (pairs, query_tokens, item_tokens). All queries meet all items in one multiplication: where
    pairs share texts that is cheaper than copying embeddings for each pair, above all backwards.
    """
    meetings = torch.einsum("qad,ibd->qiab", queries, items)
    return meetings[query_rows, item_rows]


def mean_pooled(hidden: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """Mean over attended positions, specials included: (texts, tokens, d) → (texts, d)."""
    weights = attention[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def one_row(vectors: torch.Tensor, tokens: torch.Tensor) -> Encoded:
    """Texts that are kept as one vector each: (texts, dim)."""
    is_row = torch.ones((len(vectors), 1), dtype=torch.bool, device=vectors.device)
    return Encoded(vectors[:, None, :], is_row, tokens)


def joined(parts: Sequence[Encoded]) -> Encoded:
    """The texts of several encoded batches one after another, padded to the most rows."""
    most = max(part.vectors.shape[1] for part in parts)
    missing = [most - part.vectors.shape[1] for part in parts]
    padded = [
        replace(
            part,
            vectors=functional.pad(part.vectors, (0, 0, 0, more)),
            is_row=functional.pad(part.is_row, (0, more)),
        )
        for part, more in zip(parts, missing, strict=True)
    ]
    return Encoded(
        torch.cat([part.vectors for part in padded]),
        torch.cat([part.is_row for part in padded]),
        parts[0].tokens[:0],
    )
