"""The ColBERT student: token embeddings on both sides, compared by MaxSim.

Source: Khattab & Zaharia, "ColBERT" (SIGIR 2020); the paper's representation-based student.
One encoder serves queries and items. The definition of MaxSim is `relevance.late_interaction`;
this differentiable form is held to it by a test. No [MASK] expansion, no query or item markers.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel

from relevance.domain import Side
from trainer.students.student import (
    INITIAL_WEIGHT,
    Encoded,
    Judged,
    PairTexts,
    RepresentationStudent,
    StudentKind,
    paired_similarities,
)
from trainer.students.texts import TextBatch


class ColBERT(RepresentationStudent):
    """Encoder, projection to `dim`, and logit = softplus(raw_weight) · MeanMaxSim + bias.

    With `heads` (say 96, 64, 32) the first so many dimensions alone are trained to be a student
    too, each with a slope and bias of its own (Matryoshka; Kusupati et al., 2022): see `at_dim`.
    """

    kind = StudentKind.COLBERT

    def __init__(
        self, encoder: PreTrainedModel, *, hidden: int, dim: int, heads: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.projection = nn.Linear(hidden, dim, bias=False)
        self.raw_weight = nn.Parameter(torch.tensor(INITIAL_WEIGHT))
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.heads = heads
        if heads:
            self.head_weights = nn.Parameter(torch.full((len(heads),), INITIAL_WEIGHT))
            self.head_biases = nn.Parameter(torch.zeros(len(heads)))

    @property
    def encoder_config(self) -> PretrainedConfig:
        """The encoder's Hugging Face configuration."""
        return self.encoder.config

    @property
    def weight(self) -> torch.Tensor:
        """The logit's slope, always positive."""
        return functional.softplus(self.raw_weight)

    def token_embeddings(self, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """Unit-length float32 embeddings of every position, specials and padding included.

        (texts, tokens) → (texts, tokens, dim)
        """
        return functional.normalize(self.projected(ids, attention), dim=-1)

    def projected(self, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """`token_embeddings` before they get their unit length, in float32."""
        hidden = self.encoder(input_ids=ids, attention_mask=attention).last_hidden_state
        projected: torch.Tensor = self.projection(hidden)
        return projected.float()

    def embed(self, batch: TextBatch) -> torch.Tensor:
        """Token embeddings of padded texts: (texts, tokens, dim)."""
        return self.token_embeddings(batch.ids, batch.attention)

    def encode(self, batch: TextBatch, side: Side) -> Encoded:
        """Token embeddings, the real tokens' rows marked; both sides are encoded alike."""
        tokens = self.embed(batch)
        return Encoded(tokens, batch.is_token, tokens)

    def meet(self, queries: Encoded, items: Encoded) -> torch.Tensor:
        """Logits by MaxSim over the marked rows."""
        cosines = similarities(queries.vectors, items.vectors)
        return self.logits(mean_maxsim(cosines, queries.is_row, items.is_row))

    def judge(self, texts: PairTexts, *, evidence: bool) -> Judged:
        """As every representation student, but the cosines are had anyway."""
        queries, items = (
            self.projected(batch.ids, batch.attention) for batch in (texts.queries, texts.items)
        )
        cosines = _cosines(queries, items, texts)
        logits = self.logits(_pairs_maxsim(cosines, texts))
        nested = tuple(
            self._head_logits(at, _pairs_maxsim(_cosines(queries, items, texts, dim=dim), texts))
            for at, dim in enumerate(self.heads)
        )
        return Judged(logits, nested=nested, cosines=cosines)

    def logits(self, mean_maxsim: torch.Tensor) -> torch.Tensor:
        """MeanMaxSim → logit of Good."""
        return self.weight * mean_maxsim + self.bias

    def calibration(self) -> list[nn.Parameter]:
        """Slopes and biases of the logits."""
        heads = [self.head_weights, self.head_biases] if self.heads else []
        return [self.raw_weight, self.bias, *heads]

    def start(self, texts: PairTexts, items: TextBatch) -> None:
        """Start as the pretrained encoder's own MaxSim: projection from the items, then biases."""
        self.start_projection(items)
        self.start_biases(texts)

    @torch.no_grad()
    def start_from_head(self, head: Mapping[str, torch.Tensor], texts: PairTexts) -> None:
        """Take another ColBERT's projection where it has our shape; centre the logits anew."""
        projection = head.get("projection")
        if projection is not None and projection.shape == self.projection.weight.shape:
            self.projection.weight.copy_(projection)
            self.start_biases(texts)

    @torch.no_grad()
    def start_biases(self, texts: PairTexts) -> None:
        """Centre each logit on the median similarity of these pairs."""
        queries, items = (
            self.projected(batch.ids, batch.attention) for batch in (texts.queries, texts.items)
        )
        self.start_bias(_pairs_maxsim(_cosines(queries, items, texts), texts))
        for at, dim in enumerate(self.heads):
            found = _pairs_maxsim(_cosines(queries, items, texts, dim=dim), texts)
            weight = functional.softplus(self.head_weights[at])
            self.head_biases[at] = -weight * found.median()

    @torch.no_grad()
    def start_projection(self, texts: TextBatch) -> None:
        """Set the projection to the first principal axes of these texts' token embeddings.

        An uncentred projection keeps as much of every cosine as `dim` axes can, so training starts
        from the pretrained similarity and not from noise. A fixed rotation then spreads the first
        axes over all dimensions: cosines stay, and one scale quantises every dimension well. With
        heads each head's axes are rotated among themselves, so that its dimensions are the best
        so many too.
        """
        hidden = self.encoder(input_ids=texts.ids, attention_mask=texts.attention)
        rows = functional.normalize(hidden.last_hidden_state[texts.is_token].float(), dim=-1)
        _, axes = torch.linalg.eigh(rows.T @ rows)  # ascending eigenvalues
        kept = axes.flip(1)[:, : self.projection.out_features]
        bounds = [0, *sorted(self.heads), kept.shape[1]]
        turned = [
            _rotation(end - start).to(kept) @ kept[:, start:end].T
            for start, end in zip(bounds, bounds[1:], strict=False)
        ]
        self.projection.weight.copy_(torch.cat(turned))

    @torch.no_grad()
    def start_bias(self, mean_maxsim: torch.Tensor) -> None:
        """Centre the logit on the median of these similarities."""
        self.bias.copy_(-self.weight * mean_maxsim.median())

    def _head_logits(self, at: int, mean_maxsim: torch.Tensor) -> torch.Tensor:
        return functional.softplus(self.head_weights[at]) * mean_maxsim + self.head_biases[at]


@torch.no_grad()
def at_dim(student: ColBERT, dim: int) -> ColBERT:
    """The student that one of the heads is: its first `dim` dimensions, its slope and bias.

    The encoder is shared, not copied. Raises ValueError for a size the student was not trained at.
    """
    if dim not in student.heads:
        raise ValueError(f"dim: expected one of the heads {student.heads}, got {dim}")
    at = student.heads.index(dim)
    small = ColBERT(student.encoder, hidden=student.projection.in_features, dim=dim)
    small.projection.weight.copy_(student.projection.weight[:dim])
    small.raw_weight.copy_(student.head_weights[at])
    small.bias.copy_(student.head_biases[at])
    return small.train(student.training)


def _cosines(
    queries: torch.Tensor, items: torch.Tensor, texts: PairTexts, *, dim: int | None = None
) -> torch.Tensor:
    """Cosines of each pair's tokens over the first `dim` dimensions, all by default."""
    unit_queries, unit_items = (
        functional.normalize(side[..., :dim], dim=-1) for side in (queries, items)
    )
    return paired_similarities(unit_queries, unit_items, texts.query_rows, texts.item_rows)


def _pairs_maxsim(cosines: torch.Tensor, texts: PairTexts) -> torch.Tensor:
    return mean_maxsim(
        cosines, texts.queries.is_token[texts.query_rows], texts.items.is_token[texts.item_rows]
    )


def _rotation(dim: int) -> torch.Tensor:
    """One orthogonal matrix (dim, dim), the same at every call."""
    gaussian = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0))
    return torch.linalg.qr(gaussian).Q


def similarities(queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Cosines of every query token with every item token of a pair.

    (pairs, query_tokens, dim), (pairs, item_tokens, dim) → (pairs, query_tokens, item_tokens)
    """
    return queries @ items.transpose(1, 2)


def query_attention(cosines: torch.Tensor, item_is_token: torch.Tensor) -> torch.Tensor:
    """Each query token's best cosine among the item's real tokens: (pairs, query_tokens)."""
    return cosines.masked_fill(~item_is_token[:, None, :], -torch.inf).amax(dim=2)


def item_attention(cosines: torch.Tensor, query_is_token: torch.Tensor) -> torch.Tensor:
    """Each item token's best cosine among the query's real tokens: (pairs, item_tokens)."""
    return cosines.masked_fill(~query_is_token[:, :, None], -torch.inf).amax(dim=1)


def mean_maxsim(
    cosines: torch.Tensor, query_is_token: torch.Tensor, item_is_token: torch.Tensor
) -> torch.Tensor:
    """Mean over real query tokens of `query_attention`: (pairs,)."""
    best = query_attention(cosines, item_is_token).masked_fill(~query_is_token, 0.0)
    return best.sum(dim=1) / query_is_token.sum(dim=1)
