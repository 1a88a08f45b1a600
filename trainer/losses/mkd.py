"""The whole objective: score distillation, attention regulation and label cross-entropy.

L = λ_score · L_score + λ_cot · L_cot + λ_label · L_label (paper, Eq. 9). Score and label terms are
means by the batch's pair weights (score: over pairs with a usable teacher score), the attention
term is a mean over evidence tokens.
"""

from collections.abc import Mapping

import torch

from trainer.batches import Batch
from trainer.losses.attention import attention_regulation
from trainer.losses.label import label_cross_entropy
from trainer.losses.score import score_distillation
from trainer.recipes import Recipe
from trainer.students.colbert import (
    ColBERT,
    item_attention,
    mean_maxsim,
    paired_similarities,
    query_attention,
)


def mkd_loss(
    student: ColBERT, batch: Batch, recipe: Recipe
) -> tuple[torch.Tensor, Mapping[str, float]]:
    """The batch's loss and its terms by name (before their λ)."""
    query_is_token = batch.queries.is_token[batch.query_rows]
    item_is_token = batch.items.is_token[batch.item_rows]
    cosines = batch_similarities(student, batch)
    logits = student.logits(mean_maxsim(cosines, query_is_token, item_is_token))
    terms = {"label": (batch.weights * label_cross_entropy(logits, batch.good)).sum()}
    if recipe.lambda_score:
        terms["score"] = _score_term(logits, batch, recipe)
    if recipe.lambda_cot:
        evidence = [
            attention_regulation(query_attention(cosines, item_is_token), batch.query_factors),
            attention_regulation(item_attention(cosines, query_is_token), batch.item_factors),
        ]
        tokens = (batch.query_factors != 0).sum() + (batch.item_factors != 0).sum()
        terms["cot"] = (evidence[0].sum() + evidence[1].sum()) / tokens.clamp(min=1)
    weights = {
        "label": recipe.lambda_label,
        "score": recipe.lambda_score,
        "cot": recipe.lambda_cot,
    }
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return total, {name: float(term.detach()) for name, term in terms.items()}


def batch_similarities(student: ColBERT, batch: Batch) -> torch.Tensor:
    """Token cosines of the batch's pairs: (pairs, query_tokens, item_tokens)."""
    return paired_similarities(
        student.embed(batch.queries),
        student.embed(batch.items),
        batch.query_rows,
        batch.item_rows,
    )


def _score_term(logits: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
    usable = ~batch.log_odds.isnan()
    sharpened = torch.where(usable, batch.log_odds, 0.0) * recipe.sharpness
    each = score_distillation(logits, sharpened, temperature=recipe.temperature)
    weights = torch.where(usable, batch.weights, 0.0)
    return (weights * each).sum() / weights.sum().clamp(min=1e-9)
