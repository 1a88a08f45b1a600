"""Score distillation against the divergence written out in plain Python."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.losses.score import paper_eq4, score_distillation, unscaled_score_distillation

logits = st.floats(-20, 20)
temperatures = st.floats(0.5, 8)


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def log_share(logit: float) -> float:
    """log σ(logit)"""
    return -math.log1p(math.exp(-logit)) if logit > 0 else logit - math.log1p(math.exp(logit))


def divergence_by_loops(student, teacher, temperature):
    """T² Σ over Good and Bad of p · log(p / q), pair by pair."""
    found = []
    for z_student, z_teacher in zip(student, teacher, strict=True):
        total = 0.0
        for sign in (1, -1):
            p = log_share(sign * z_teacher / temperature)
            q = log_share(sign * z_student / temperature)
            total += math.exp(p) * (p - q)
        found.append(temperature**2 * total)
    return found


@given(hnp.arrays(float, (2, 7), elements=logits), temperatures)
def test_it_is_the_scaled_divergence_of_two_bernoullis(pairs, temperature):
    student, teacher = pairs.tolist()

    found = score_distillation(tensor(student), tensor(teacher), temperature=temperature)

    expected = divergence_by_loops(student, teacher, temperature)
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(logits, temperatures)
def test_it_is_zero_where_the_student_says_the_same(logit, temperature):
    found = score_distillation(tensor([logit]), tensor([logit]), temperature=temperature)

    assert found.item() == pytest.approx(0, abs=1e-12)


@given(st.floats(-8, 8), st.floats(0.01, 8), st.sampled_from([-1, 1]), temperatures)
def test_it_is_positive_and_grows_with_the_distance(teacher, distance, sign, temperature):
    students = tensor([teacher + sign * distance, teacher + sign * 2 * distance])

    near, far = score_distillation(students, tensor([teacher] * 2), temperature=temperature)

    assert 0 < near < far


@given(logits, logits, temperatures)
def test_swapping_good_and_bad_changes_nothing(student, teacher, temperature):
    found = score_distillation(tensor([student]), tensor([teacher]), temperature=temperature)
    swapped = score_distillation(tensor([-student]), tensor([-teacher]), temperature=temperature)

    assert found.item() == pytest.approx(swapped.item(), rel=1e-9, abs=1e-12)


@given(logits, logits, temperatures)
def test_its_gradient_is_the_difference_of_probabilities_times_the_temperature(
    student, teacher, temperature
):
    asked = tensor([student]).requires_grad_()

    score_distillation(asked, tensor([teacher]), temperature=temperature).sum().backward()

    p, q = (math.exp(log_share(z / temperature)) for z in (teacher, student))
    assert asked.grad.item() == pytest.approx(temperature * (q - p), abs=1e-9)


def test_autograd_agrees_with_finite_differences():
    student = tensor([-3.0, -0.1, 0.0, 2.5, 7.0]).requires_grad_()
    teacher = tensor([4.0, -0.1, 8.0, 2.0, -8.0])

    assert torch.autograd.gradcheck(
        lambda asked: score_distillation(asked, teacher, temperature=2.0), (student,)
    )


def test_extreme_logits_stay_finite_in_float32():
    student = torch.tensor([300.0, -300.0, 300.0], requires_grad=True)

    found = score_distillation(student, torch.tensor([-8.0, 8.0, 8.0]), temperature=2.0)
    found.sum().backward()

    assert torch.isfinite(found).all()
    assert torch.isfinite(student.grad).all()


@given(logits, logits, st.floats(0.5, 5))
def test_unscaled_is_the_same_without_the_square_of_the_temperature(student, teacher, temperature):
    tensors = (torch.tensor([value], dtype=torch.float64) for value in (student, teacher))
    arguments = tuple(tensors)

    found = unscaled_score_distillation(*arguments, temperature=temperature)

    scaled = score_distillation(*arguments, temperature=temperature)
    assert (temperature**2 * found).item() == pytest.approx(scaled.item(), rel=1e-9, abs=1e-12)


@given(st.floats(-30, 30))
def test_the_papers_equation_4_exponentiates_probabilities(log_odds):
    good = 1 / (1 + math.exp(-log_odds))
    expected = math.exp(good) / (math.exp(good) + math.exp(1 - good))

    found = torch.sigmoid(paper_eq4(torch.tensor(log_odds, dtype=torch.float64)))

    assert found.item() == pytest.approx(expected)
    assert 0.268 < found.item() < 0.732
