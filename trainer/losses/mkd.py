"""The whole objective: the weighted sum of the terms a recipe switches on.

L = λ_score · L_score + λ_cot · L_cot + λ_label · L_label (paper, Eq. 9), and past the paper
λ_aligned · L_aligned + λ_listwise · L_listwise. Each term is a sum over this batch divided by the
whole step's denominator, so that parts of a step, on one machine or several, add up to the step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from relevance.errors import BadInput
from trainer.batches import Batch
from trainer.losses.aligned import aspect_alignment
from trainer.losses.attention import attention_regulation, literal_attention_regulation
from trainer.losses.label import label_cross_entropy
from trainer.losses.listwise import listwise_distillation
from trainer.losses.score import paper_eq4, score_distillation, unscaled_score_distillation
from trainer.losses.tagging import sequence_tagging
from trainer.recipes import CotLoss, Recipe
from trainer.students.bert import BERT
from trainer.students.colbert import item_attention, query_attention
from trainer.students.student import Judged, Student


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What every term is computed from."""

    student: Student
    judged: Judged
    batch: Batch
    recipe: Recipe


def mkd_loss(
    student: Student, batch: Batch, recipe: Recipe
) -> tuple[torch.Tensor, Mapping[str, float]]:
    """The batch's part of the step's loss and of its terms by name (before their λ)."""
    evidence = recipe.lambda_cot > 0 or recipe.lambda_aligned > 0
    step = Step(student, student.judge(batch.texts, evidence=evidence), batch, recipe)
    weights = {name: weight for name, weight in _weights(recipe).items() if weight or name in KEPT}
    terms = {name: TERMS[name](step) for name in weights}
    total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
    return total, {name: float(term.detach()) for name, term in terms.items()}


KEPT = frozenset({"label"})  # shown in the progress even where its weight is 0


def _weights(recipe: Recipe) -> Mapping[str, float]:
    return {
        "label": recipe.lambda_label,
        "score": recipe.lambda_score,
        "cot": recipe.lambda_cot,
        "aligned": recipe.lambda_aligned,
        "listwise": recipe.lambda_listwise,
    }


def _label_term(step: Step) -> torch.Tensor:
    each = _over_heads(step, lambda logits: label_cross_entropy(logits, step.batch.good))
    return (step.batch.weights * each).sum()


def _score_term(step: Step) -> torch.Tensor:
    usable, teacher = _teacher_log_odds(step)
    distil = unscaled_score_distillation if step.recipe.unscaled else score_distillation
    each = _over_heads(
        step, lambda logits: distil(logits, teacher, temperature=step.recipe.temperature)
    )
    weights = torch.where(usable, step.batch.weights, 0.0)
    return (weights * each).sum() / max(step.batch.scored_weight, 1e-9)


def _cot_term(step: Step) -> torch.Tensor:
    return COT_LOSSES[step.recipe.cot](step)


def _attention_term(step: Step) -> torch.Tensor:
    query, item = _attentions(step)
    costs = (
        attention_regulation(query, step.batch.query_factors).sum()
        + attention_regulation(item, step.batch.item_factors).sum()
    )
    return costs / max(1.0, step.batch.totals.evidence_tokens)


def _literal_term(step: Step) -> torch.Tensor:
    query, item = _attentions(step)
    costs = (
        literal_attention_regulation(query, step.batch.query_factors).sum()
        + literal_attention_regulation(item, step.batch.item_factors).sum()
    )
    return costs / max(1.0, step.batch.totals.evidence_texts)


def _tagging_term(step: Step) -> torch.Tensor:
    if not isinstance(step.student, BERT):
        raise BadInput(f"recipe: sequence tagging needs the student bert, got {step.student.kind}")
    batch, judged, tagger = step.batch, step.judged, step.student.tagger
    assert judged.query_states is not None
    assert judged.item_states is not None
    tagged = (batch.query_tags != 0).any(dim=1) | (batch.item_tags != 0).any(dim=1)
    costs = judged.logits.new_zeros(len(tagged))
    for states, tags, is_token in (
        (
            judged.query_states,
            batch.query_tags,
            batch.texts.queries.is_token[batch.texts.query_rows],
        ),
        (judged.item_states, batch.item_tags, batch.texts.items.is_token[batch.texts.item_rows]),
    ):
        left = tags.gather(1, is_token.logical_not().long().argsort(dim=1, stable=True))
        left = left[:, : states.is_token.shape[1]]
        costs = costs + sequence_tagging(tagger, states.states, left, states.is_token)
    return torch.where(tagged, costs, 0.0).sum() / max(1.0, batch.totals.tagged_pairs)


def _aligned_term(step: Step) -> torch.Tensor:
    costs = aspect_alignment(_cosines(step), step.batch.signs)
    return costs.sum() / max(1.0, step.batch.totals.supervised)


def _listwise_term(step: Step) -> torch.Tensor:
    usable, teacher = _teacher_log_odds(step)
    scored = torch.where(usable, teacher, torch.nan)
    each = _over_heads(
        step,
        lambda logits: listwise_distillation(
            logits, scored, step.batch.lists, temperature=step.recipe.temperature
        ),
    )
    return each.sum() / max(1.0, step.batch.totals.lists)


TERMS: Mapping[str, Callable[[Step], torch.Tensor]] = {
    "label": _label_term,
    "score": _score_term,
    "cot": _cot_term,
    "aligned": _aligned_term,
    "listwise": _listwise_term,
}
COT_LOSSES: Mapping[CotLoss, Callable[[Step], torch.Tensor]] = {
    CotLoss.ATTENTION: _attention_term,
    CotLoss.LITERAL: _literal_term,
    CotLoss.TAGGING: _tagging_term,
}


def _over_heads(step: Step, cost: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """The mean of a cost over the student's logits and those of its smaller heads: (pairs,)."""
    heads = (step.judged.logits, *step.judged.nested)
    return torch.stack([cost(logits) for logits in heads]).mean(dim=0)


def _teacher_log_odds(step: Step) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pairs have a usable teacher's score, and the log-odds to follow (0 for the others)."""
    usable = ~step.batch.log_odds.isnan()
    log_odds = torch.where(usable, step.batch.log_odds, 0.0)
    read = paper_eq4(log_odds) if step.recipe.paper_eq4 else log_odds
    return usable, read * step.recipe.sharpness


def _attentions(step: Step) -> tuple[torch.Tensor, torch.Tensor]:
    """Each query token's, and each item token's, best cosine with the other text."""
    texts, cosines = step.batch.texts, _cosines(step)
    return (
        query_attention(cosines, texts.items.is_token[texts.item_rows]),
        item_attention(cosines, texts.queries.is_token[texts.query_rows]),
    )


def _cosines(step: Step) -> torch.Tensor:
    if step.judged.cosines is None:
        raise BadInput(
            "recipe: attention regulation needs a representation student, "
            f"got {step.student.kind}; its chain-of-thought loss is tagging"
        )
    return step.judged.cosines
