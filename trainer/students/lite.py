"""A learned late-interaction scorer: ColBERT's similarity matrix read by a small network.

Source: Ji et al., "Efficient Document Ranking with Learnable Late Interactions" (LITE, 2024,
arXiv:2406.17968), whose separable network maps rows, then columns. Past the paper: MaxSim stays as
the residual path and the network starts at zero, so training starts from ColBERT. Items are cached
as ColBERT's are. Not for export: the served graph ends at integer maxima.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from trainer.students.colbert import ColBERT, mean_maxsim, similarities
from trainer.students.student import Encoded, Judged, PairTexts, StudentKind

WIDTH = 32


class Lite(ColBERT):
    """ColBERT's logit plus a network's over the (query_tokens, item_tokens) matrix of cosines."""

    kind = StudentKind.LITE

    def __init__(
        self,
        encoder: PreTrainedModel,
        *,
        hidden: int,
        dim: int,
        query_tokens: int,
        item_tokens: int,
    ) -> None:
        super().__init__(encoder, hidden=hidden, dim=dim)
        self.size = (query_tokens, item_tokens)
        self.rows = nn.Sequential(nn.Linear(item_tokens, WIDTH), nn.GELU(), nn.LayerNorm(WIDTH))
        self.columns = nn.Sequential(nn.Linear(query_tokens, WIDTH), nn.GELU())
        self.correct = nn.Linear(WIDTH * WIDTH, 1, bias=False)
        nn.init.zeros_(self.correct.weight)

    def meet(self, queries: Encoded, items: Encoded) -> torch.Tensor:
        """Logits over the marked rows, which are moved to the front of the matrix."""
        cosines = similarities(queries.vectors, items.vectors)
        plain = self.logits(mean_maxsim(cosines, queries.is_row, items.is_row))
        return plain + self._correction(cosines, queries.is_row, items.is_row)

    def judge(self, texts: PairTexts, *, evidence: bool) -> Judged:
        """As ColBERT, corrected."""
        plain = super().judge(texts, evidence=evidence)
        assert plain.cosines is not None
        is_query = texts.queries.is_token[texts.query_rows]
        is_item = texts.items.is_token[texts.item_rows]
        correction = self._correction(plain.cosines, is_query, is_item)
        return Judged(plain.logits + correction, cosines=plain.cosines)

    def _correction(
        self, cosines: torch.Tensor, is_query: torch.Tensor, is_item: torch.Tensor
    ) -> torch.Tensor:
        matrix = self._fixed(cosines, is_query, is_item)
        mixed = self.columns(self.rows(matrix).transpose(1, 2))  # (pairs, width, width)
        correction: torch.Tensor = self.correct(mixed.flatten(1))[:, 0]
        return correction.float()

    def _fixed(
        self, cosines: torch.Tensor, is_query: torch.Tensor, is_item: torch.Tensor
    ) -> torch.Tensor:
        """Real tokens' cosines in order, 0 elsewhere: (pairs, *size), whatever the padding."""
        matrix = cosines.masked_fill(~(is_query[:, :, None] & is_item[:, None, :]), 0.0)
        for axis, is_token, size in ((1, is_query, self.size[0]), (2, is_item, self.size[1])):
            order = is_token.logical_not().long().argsort(dim=1, stable=True)[:, :size]
            where = order[:, :, None] if axis == 1 else order[:, None, :]
            shape = [*matrix.shape]
            shape[axis] = order.shape[1]
            matrix = matrix.gather(axis, where.expand(shape))
        missing = [size - have for size, have in zip(self.size, matrix.shape[1:], strict=True)]
        return functional.pad(matrix, (0, missing[1], 0, missing[0]))
