"""The ReprBERT student: vectors of several layers per text, which interact before the logit.

Source: Yao et al., "ReprBERT: Distilling BERT to an Efficient Representation-Based Relevance Model
for E-Commerce" (KDD 2022): context-guided attention pools every layer's tokens, and both the
intermediate layers' vectors and the last ones interact. Its details are not public enough to be
copied: the interaction is [u ⊙ v; |u − v|] per layer through one hidden layer, and its sum with
the last layers' cosine is our reading. It is distilled from a BERT student's scores (`ellm train
judge`), as there, and not from the teacher.
"""

from itertools import pairwise

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
)
from trainer.students.texts import TextBatch

MIXED = 128  # width of the interaction's hidden layer


class ReprBERT(RepresentationStudent):
    """A `dim`-vector of each of `layers` (1 is the first transformer layer) and a small network."""

    kind = StudentKind.REPRBERT

    def __init__(
        self, encoder: PreTrainedModel, *, hidden: int, dim: int, layers: tuple[int, ...]
    ) -> None:
        super().__init__()
        if not layers or any(one >= other for one, other in pairwise(layers)):
            raise ValueError(f"layers: expected rising numbers, got {layers}")
        self.encoder: PreTrainedModel = encoder
        self.layers = layers
        self.projections = nn.ModuleList(nn.Linear(hidden, dim, bias=False) for _ in layers)
        self.mix = nn.Linear(2 * dim * len(layers), MIXED)
        self.correct = nn.Linear(MIXED, 1, bias=False)
        nn.init.zeros_(self.correct.weight)  # so training starts from the last layers' cosine
        self.logit = CosineLogit()

    @property
    def encoder_config(self) -> PretrainedConfig:
        """The encoder's Hugging Face configuration."""
        return self.encoder.config

    def encode(self, batch: TextBatch, side: Side) -> Encoded:
        """One row a layer, in their order, the last layer's last; both sides alike."""
        output = self.encoder(
            input_ids=batch.ids, attention_mask=batch.attention, output_hidden_states=True
        )
        states = [output.hidden_states[layer].float() for layer in self.layers]
        guide = mean_pooled(states[-1], batch.attention)  # the context that guides every layer
        rows = [
            functional.normalize(projection(_guided(state, guide, batch.attention)), dim=-1)
            for state, projection in zip(states, self.projections, strict=True)
        ]
        vectors = torch.stack([row.float() for row in rows], dim=1)
        is_row = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        return Encoded(vectors, is_row, functional.normalize(states[-1], dim=-1))

    def meet(self, queries: Encoded, items: Encoded) -> torch.Tensor:
        """Logit of the last rows' cosine, plus what the layers' interaction adds to it."""
        one, other = queries.vectors, items.vectors  # (pairs, layers, dim)
        cosine = (one[:, -1] * other[:, -1]).sum(dim=-1)
        interaction = torch.cat([one * other, (one - other).abs()], dim=-1).flatten(1)
        correction = self.correct(functional.gelu(self.mix(interaction)))[:, 0]
        logits: torch.Tensor = self.logit(cosine) + correction.float()
        return logits

    @torch.no_grad()
    def start(self, texts: PairTexts, items: TextBatch) -> None:
        """Projections onto each layer's principal axes, then the logit's zero at the median."""
        output = self.encoder(
            input_ids=items.ids, attention_mask=items.attention, output_hidden_states=True
        )
        guide = mean_pooled(output.hidden_states[self.layers[-1]].float(), items.attention)
        for layer, projection in zip(self.layers, self.projections, strict=True):
            state = output.hidden_states[layer].float()
            rows = functional.normalize(_guided(state, guide, items.attention), dim=-1)
            _, axes = torch.linalg.eigh(rows.T @ rows)
            assert isinstance(projection, nn.Linear)
            projection.weight.copy_(axes.flip(1)[:, : projection.out_features].T)
        queries = self.encode(texts.queries, Side.QUERY).at(texts.query_rows)
        titles = self.encode(texts.items, Side.TITLE).at(texts.item_rows)
        self.logit.centre((queries.vectors[:, -1] * titles.vectors[:, -1]).sum(dim=-1))

    def calibration(self) -> list[nn.Parameter]:
        """Slope and bias of the cosine."""
        return list(self.logit.parameters())


def _guided(state: torch.Tensor, guide: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """Tokens pooled by scaled attention from `guide`: (texts, tokens, d), (texts, d) → (texts, d).

    The text's own last mean asks, so that what a layer keeps of a text is what the whole text is
    about.
    """
    interest = (state @ guide[:, :, None])[:, :, 0] * state.shape[-1] ** -0.5
    weights = interest.masked_fill(attention == 0, -torch.inf).softmax(dim=1)
    return (weights[:, :, None] * state).sum(dim=1)
