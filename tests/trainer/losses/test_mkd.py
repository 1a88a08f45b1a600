"""The whole objective against loops over pairs and tokens, and whose denominator is whose."""

from dataclasses import replace
from math import exp, log, log1p

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.errors import BadInput
from relevance.late_interaction import mean_maxsim
from tests.trainer.make_students import build_any, make_example, make_student, random_examples
from trainer.batches import make_batch, split_step
from trainer.examples import Example
from trainer.losses.label import label_cross_entropy
from trainer.losses.mkd import mkd_loss
from trainer.recipes import CotLoss, Recipe
from trainer.students.colbert import ColBERT
from trainer.students.student import StudentKind
from trainer.students.texts import pad
from trainer.totals import count_totals

RECIPE = Recipe("all", lambda_score=1.0, lambda_cot=0.3, lambda_label=0.5)
DENOMINATORS = {
    "label": len,
    "score": lambda examples: sum(e.log_odds is not None for e in examples),
    "cot": lambda examples: sum(f != 0 for e in examples for f in factors_of(e)),
}


@pytest.fixture(scope="module")
def student(backbone_folder) -> ColBERT:
    made = make_student(backbone_folder)
    with torch.no_grad():
        made.raw_weight.fill_(4.0)
        made.bias.fill_(-1.0)
    return made


def factors_of(example: Example) -> tuple[int, ...]:
    return (*example.query_factors, *example.item_factors)


def tokens_of(student: ColBERT, text) -> np.ndarray:
    batch = pad([text])
    with torch.no_grad():
        return student.embed(batch)[0][batch.is_token[0]].double().numpy()


def divergence(student_logit: float, teacher_logit: float) -> float:
    p, q = (1 / (1 + exp(-z)) for z in (teacher_logit, student_logit))
    return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))


def attention_costs(example: Example, cosines: np.ndarray) -> float:
    cost = 0.0
    attention = (*cosines.max(axis=1), *cosines.max(axis=0))
    for best, factor in zip(attention, factors_of(example), strict=True):
        cost += {1: (1 - best) ** 2, -1: max(0, best - 0.2) ** 2, 0: 0}[factor]
    return cost


def terms_by_loops(
    student: ColBERT, examples: list[Example], weights: list[float], recipe: Recipe
) -> dict[str, float]:
    totals = dict.fromkeys(DENOMINATORS, 0.0)
    weight = log1p(exp(student.raw_weight.item()))
    usable = 0.0
    for example, importance in zip(examples, weights, strict=True):
        query, item = (tokens_of(student, t) for t in (example.query_text, example.item_text))
        similarity = mean_maxsim(query, item, np.ones(len(item), dtype=bool))
        logit = weight * similarity + student.bias.item()
        totals["label"] += importance * log1p(exp(-logit if example.good else logit))
        if example.log_odds is not None:
            sharpened = recipe.sharpness * example.log_odds
            cool = recipe.temperature
            divergent = cool**2 * divergence(logit / cool, sharpened / cool)
            totals["score"] += importance * divergent
            usable += importance
        totals["cot"] += attention_costs(example, query @ item.T)
    totals["score"] /= usable or 1
    totals["cot"] /= max(1, DENOMINATORS["cot"](examples))
    return totals


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 7), st.floats(1, 3), st.floats(0.1, 0.9))
def test_every_term_agrees_with_loops(student, seed, pairs, sharpness, share):
    recipe, examples = replace(RECIPE, sharpness=sharpness), random_examples(seed, pairs)
    batch = make_batch(examples, human_share=share)

    loss, terms = mkd_loss(student, batch, recipe)

    expected = terms_by_loops(student, examples, batch.weights.tolist(), recipe)
    assert dict(terms) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    total = 1.0 * expected["score"] + 0.3 * expected["cot"] + 0.5 * expected["label"]
    assert loss.item() == pytest.approx(total, rel=1e-4, abs=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
def test_half_batches_of_one_kind_add_up_by_their_own_denominators(student, seed, first, second):
    halves = [
        [replace(e, human=True) for e in random_examples(seed + half, count)]
        for half, count in enumerate((first, second))
    ]
    whole = [*halves[0], *halves[1]]

    _, found = mkd_loss(student, make_batch(whole), RECIPE)

    parts = [mkd_loss(student, make_batch(half), RECIPE)[1] for half in halves]
    for name, denominator in DENOMINATORS.items():
        total = sum(
            part[name] * denominator(half) for part, half in zip(parts, halves, strict=True)
        )
        assert found[name] == pytest.approx(total / max(1, denominator(whole)), rel=1e-4, abs=1e-5)


def test_the_mean_of_two_half_batches_with_uneven_evidence_is_another_loss(student):
    # So who splits a batch over micro-batches or machines has to sum up the denominators too.
    rich = make_example((10,), (11, 12), query_factors=(1,), item_factors=(1, 1))
    poor = make_example((20,), (21, 22), item_factors=(0, -1))
    halves = [[rich, rich], [poor, poor]]

    _, whole = mkd_loss(student, make_batch([*halves[0], *halves[1]]), RECIPE)

    parts = [mkd_loss(student, make_batch(half), RECIPE)[1]["cot"] for half in halves]
    assert whole["cot"] == pytest.approx((6 * parts[0] + 2 * parts[1]) / 8, rel=1e-4)
    assert abs(whole["cot"] - np.mean(parts)) > 0.01


def test_a_batch_without_evidence_and_usable_scores_still_has_a_gradient(student):
    batch = make_batch([make_example(log_odds=None), make_example((10, 15), (16,), good=False)])

    loss, terms = mkd_loss(student, batch, RECIPE)
    student.zero_grad()
    loss.backward()

    assert (terms["score"], terms["cot"]) == (0, 0)
    gradients = [p.grad for p in student.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert student.projection.weight.grad.abs().max() > 0


def test_a_score_that_may_not_be_used_changes_no_gradient_of_the_others(student):
    recipe = replace(RECIPE, lambda_label=0.0, lambda_cot=0.0)
    used = make_example((10, 11), (12,), log_odds=-3.0)
    dropped = make_example((20, 21), (22,), log_odds=None)
    gradients = []
    for examples in ([used], [used, dropped]):
        student.zero_grad()
        mkd_loss(student, make_batch(examples), recipe)[0].backward()
        gradients.append(student.projection.weight.grad.clone())

    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_the_recipe_without_a_teacher_computes_the_label_term_alone(student):
    batch = make_batch([make_example(log_odds=5.0, query_factors=(1, -1))])

    loss, terms = mkd_loss(student, batch, Recipe("ce"))

    assert set(terms) == {"label"}
    assert loss.item() == pytest.approx(terms["label"])


VARIANTS = {
    "paper": RECIPE,
    "literal, unscaled, Eq. 4": replace(RECIPE, cot=CotLoss.LITERAL, unscaled=True, paper_eq4=True),
    "past the paper": replace(RECIPE, lambda_aligned=0.4, lambda_listwise=0.7),
}
STUDENTS = [
    *((StudentKind.COLBERT, name) for name in VARIANTS),
    *((kind, "past the paper") for kind in StudentKind if kind is not StudentKind.BERT),
    (StudentKind.BERT, "tagging"),
]


def gradients_of(student, parts, recipe) -> dict[str, torch.Tensor]:
    student.zero_grad()
    for batch in parts:
        mkd_loss(student, batch, recipe)[0].backward()
    return {n: p.grad.clone() for n, p in student.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("kind", "variant"), STUDENTS)
def test_parts_of_a_step_with_uneven_evidence_add_up_to_its_gradients(
    backbone_folder, kind, variant
):
    student = build_any(kind, backbone_folder)
    recipe = VARIANTS.get(variant, replace(RECIPE, cot=CotLoss.TAGGING, human_share=0.4))
    examples = random_examples(3, 24, vocabulary=9)
    bare = [replace(e, cells=(), query_factors=(0,) * len(e.query_factors)) for e in examples[:8]]
    step = [*examples, *bare]
    share = recipe.human_share

    parts = split_step(step, most_pairs=5)
    totals = count_totals(step)
    split = gradients_of(
        student, [make_batch(p, human_share=share, totals=totals) for p in parts if p], recipe
    )

    whole = gradients_of(student, [make_batch(step, human_share=share)], recipe)
    assert len(parts) > 4
    assert split.keys() == whole.keys()
    largest = max(gradient.abs().max() for gradient in whole.values())
    for name, gradient in whole.items():
        assert (split[name] - gradient).abs().max() < 1e-5 * max(1, largest), name


def test_a_nested_head_counts_as_much_as_the_whole_vector(backbone_folder):
    student = build_any(StudentKind.COLBERT, backbone_folder)
    batch = make_batch(random_examples(1, 6))

    _, found = mkd_loss(student, batch, Recipe("ce"))

    judged = student.judge(batch.texts, evidence=False)
    alone = [
        (batch.weights * label_cross_entropy(logits, batch.good)).sum().item()
        for logits in (judged.logits, *judged.nested)
    ]
    assert found["label"] == pytest.approx(np.mean(alone), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "cot", "message"),
    [
        (StudentKind.BERT, CotLoss.ATTENTION, "needs a representation student"),
        (StudentKind.COLBERT, CotLoss.TAGGING, "needs the student bert"),
    ],
)
def test_a_loss_that_a_student_cannot_have_is_said(backbone_folder, kind, cot, message):
    recipe = replace(RECIPE, cot=cot)

    with pytest.raises(BadInput, match=message):
        mkd_loss(build_any(kind, backbone_folder), make_batch(random_examples(0, 4)), recipe)
