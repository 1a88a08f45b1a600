"""The Sentence-BERT student: one vector per text, compared by cosine.

Source: Reimers & Gurevych, "Sentence-BERT" (EMNLP 2019), with mean pooling, its best variant.
The logit is a slope times the cosine plus a bias, as for every representation student here, and
not the softmax over (u, v, |u − v|) of its training on inference pairs: a cosine is what is served.
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


class SentenceBERT(RepresentationStudent):
    """Unit-length mean of the encoder's token vectors; no projection, so `hidden` dimensions."""

    kind = StudentKind.SENTENCE_BERT

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.logit = CosineLogit()

    @property
    def encoder_config(self) -> PretrainedConfig:
        """The encoder's Hugging Face configuration."""
        return self.encoder.config

    def text_embeddings(self, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """Unit-length float32 vectors of padded texts: (texts, tokens) → (texts, hidden)."""
        return self._pooled(self._hidden(ids, attention), attention)

    def encode(self, batch: TextBatch, side: Side) -> Encoded:
        """One vector a text; both sides are encoded alike."""
        hidden = self._hidden(batch.ids, batch.attention)
        return one_row(self._pooled(hidden, batch.attention), functional.normalize(hidden, dim=-1))

    def meet(self, queries: Encoded, items: Encoded) -> torch.Tensor:
        """Logits by cosine."""
        logits: torch.Tensor = self.logit(self._cosine(queries, items))
        return logits

    @torch.no_grad()
    def start(self, texts: PairTexts, items: TextBatch) -> None:
        """Centre the logit on these pairs' cosines."""
        sides = ((texts.queries, Side.QUERY), (texts.items, Side.TITLE))
        queries, titles = (self.encode(batch, side) for batch, side in sides)
        cosine = self._cosine(queries.at(texts.query_rows), titles.at(texts.item_rows))
        self.logit.centre(cosine)

    def calibration(self) -> list[nn.Parameter]:
        """Slope and bias."""
        return list(self.logit.parameters())

    def _hidden(self, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.encoder(input_ids=ids, attention_mask=attention)[0]
        return hidden.float()

    @staticmethod
    def _pooled(hidden: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        return functional.normalize(mean_pooled(hidden, attention), dim=-1)

    @staticmethod
    def _cosine(queries: Encoded, items: Encoded) -> torch.Tensor:
        return (queries.vectors[:, 0] * items.vectors[:, 0]).sum(dim=-1)
