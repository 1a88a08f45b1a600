"""The Poly-Encoder student: m vectors per query, of which each item picks its mixture.

Source: Humeau et al., "Poly-encoders" (ICLR 2020), learnt-m variant. The query is its context, the
item its candidate, so an item is cached as one vector. Dot products are cosines here, and the
attention's scores are scaled, which keeps them in range of a slope and bias.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

from relevance.domain import Side
from trainer.students.student import (
    CosineLogit,
    Encoded,
    PairTexts,
    RepresentationStudent,
    StudentKind,
    mean_pooled,
    one_row,
)
from trainer.students.texts import TextBatch

SHARPNESS = 8.0  # of an item's choice among the query's unit vectors


class PolyEncoder(RepresentationStudent):
    """`codes` learned queries pool a text's tokens; the item's vector attends over the results."""

    kind = StudentKind.POLY_ENCODER

    def __init__(self, encoder: PreTrainedModel, *, hidden: int, codes: int) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.codes = nn.Parameter(torch.randn(codes, hidden) * hidden**-0.5)
        self.logit = CosineLogit()

    @property
    def encoder_config(self) -> PretrainedConfig:
        """The encoder's Hugging Face configuration."""
        return self.encoder.config

    def encode(self, batch: TextBatch, side: Side) -> Encoded:
        """A query's m vectors (Humeau et al., Eq. 1), an item's mean; all of unit length."""
        output = self.encoder(input_ids=batch.ids, attention_mask=batch.attention)
        hidden: torch.Tensor = output[0].float()  # (texts, tokens, hidden)
        tokens = functional.normalize(hidden, dim=-1)
        if side is Side.TITLE:
            pooled = mean_pooled(hidden, batch.attention)
            return one_row(functional.normalize(pooled, dim=-1), tokens)
        interest = hidden @ self.codes.T  # (texts, tokens, codes)
        silent = batch.attention[:, :, None] == 0
        weights = interest.masked_fill(silent, -torch.inf).softmax(dim=1)
        mixed = weights.transpose(1, 2) @ hidden  # (texts, codes, hidden)
        vectors = functional.normalize(mixed.float(), dim=-1)
        is_row = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        return Encoded(vectors, is_row, tokens)

    def meet(self, queries: Encoded, items: Encoded) -> torch.Tensor:
        """Logits of the item with its mixture of the query's vectors."""
        logits: torch.Tensor = self.logit(self._similarity(queries, items))
        return logits

    @torch.no_grad()
    def start(self, texts: PairTexts, items: TextBatch) -> None:
        """Centre the logit on these pairs' similarities; the codes stay random, as in the paper."""
        queries = self.encode(texts.queries, Side.QUERY).at(texts.query_rows)
        titles = self.encode(texts.items, Side.TITLE).at(texts.item_rows)
        self.logit.centre(self._similarity(queries, titles))

    def calibration(self) -> list[nn.Parameter]:
        """Slope and bias."""
        return list(self.logit.parameters())

    @staticmethod
    def _similarity(queries: Encoded, items: Encoded) -> torch.Tensor:
        """Cosine of the item with Σ w_i y_i, w = softmax(8 · y_i · item) (Humeau et al., Eq. 2)."""
        item = items.vectors[:, 0]  # (pairs, hidden)
        near = (queries.vectors @ item[:, :, None])[:, :, 0]  # (pairs, codes)
        chosen = (SHARPNESS * near).masked_fill(~queries.is_row, -torch.inf).softmax(dim=1)
        mixture = (chosen[:, :, None] * queries.vectors).sum(dim=1)
        return (functional.normalize(mixture, dim=-1) * item).sum(dim=-1)
