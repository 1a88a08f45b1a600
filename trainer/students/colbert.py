"""The ColBERT student: token embeddings on both sides, compared by MaxSim.

Source: Khattab & Zaharia, "ColBERT" (SIGIR 2020); the paper's representation-based student.
One encoder serves queries and items. The definition of MaxSim is `relevance.late_interaction`;
this differentiable form is held to it by a test. No [MASK] expansion, no query or item markers.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from trainer.students.texts import TextBatch

INITIAL_WEIGHT = 12.0  # the logit's slope over MeanMaxSim before training (design §3, row 7)


class ColBERT(nn.Module):
    """Encoder, projection to `dim`, and logit = softplus(raw_weight) · MeanMaxSim + bias."""

    def __init__(self, encoder: PreTrainedModel, *, hidden: int, dim: int) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.projection = nn.Linear(hidden, dim, bias=False)
        self.raw_weight = nn.Parameter(torch.tensor(INITIAL_WEIGHT))
        self.bias = nn.Parameter(torch.tensor(0.0))

    @property
    def weight(self) -> torch.Tensor:
        """The logit's slope, always positive."""
        return functional.softplus(self.raw_weight)

    def token_embeddings(self, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """Unit-length float32 embeddings of every position, specials and padding included.

        (texts, tokens) → (texts, tokens, dim)
        """
        hidden = self.encoder(input_ids=ids, attention_mask=attention).last_hidden_state
        return functional.normalize(self.projection(hidden).float(), dim=-1)

    def embed(self, batch: TextBatch) -> torch.Tensor:
        """Token embeddings of padded texts: (texts, tokens, dim)."""
        return self.token_embeddings(batch.ids, batch.attention)

    def logits(self, mean_maxsim: torch.Tensor) -> torch.Tensor:
        """MeanMaxSim → logit of Good."""
        return self.weight * mean_maxsim + self.bias

    @torch.no_grad()
    def start_projection(self, texts: TextBatch) -> None:
        """Set the projection to the first principal axes of these texts' token embeddings.

        An uncentred projection keeps as much of every cosine as `dim` axes can, so training starts
        from the pretrained similarity and not from noise. A fixed rotation then spreads the first
        axes over all dimensions: cosines stay, and one scale quantises every dimension well.
        """
        hidden = self.encoder(input_ids=texts.ids, attention_mask=texts.attention)
        rows = functional.normalize(hidden.last_hidden_state[texts.is_token].float(), dim=-1)
        _, axes = torch.linalg.eigh(rows.T @ rows)  # ascending eigenvalues
        kept = axes.flip(1)[:, : self.projection.out_features]
        self.projection.weight.copy_(_rotation(kept.shape[1]) @ kept.T)

    @torch.no_grad()
    def start_bias(self, mean_maxsim: torch.Tensor) -> None:
        """Centre the logit on the median of these similarities."""
        self.bias.copy_(-self.weight * mean_maxsim.median())


def _rotation(dim: int) -> torch.Tensor:
    """One orthogonal matrix (dim, dim), the same at every call."""
    gaussian = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0))
    return torch.linalg.qr(gaussian).Q


def similarities(queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Cosines of every query token with every item token of a pair.

    (pairs, query_tokens, dim), (pairs, item_tokens, dim) → (pairs, query_tokens, item_tokens)
    """
    return queries @ items.transpose(1, 2)


def paired_similarities(
    queries: torch.Tensor, items: torch.Tensor, query_rows: torch.Tensor, item_rows: torch.Tensor
) -> torch.Tensor:
    """`similarities` of the pairs (query_rows[p], item_rows[p]) of distinct texts.

    (queries, query_tokens, dim), (items, item_tokens, dim), (pairs,), (pairs,) →
    (pairs, query_tokens, item_tokens). All queries meet all items in one multiplication: where
    pairs share texts that is cheaper than copying embeddings for each pair, above all backwards.
    """
    meetings = torch.einsum("qad,ibd->qiab", queries, items)
    return meetings[query_rows, item_rows]


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
