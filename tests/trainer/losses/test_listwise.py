"""Listwise distillation against softmaxes written out, list by list."""

from math import exp, log, nan

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.losses.listwise import listwise_distillation

pairs = st.lists(
    st.tuples(st.floats(-8, 8), st.one_of(st.just(nan), st.floats(-8, 8)), st.integers(0, 3)),
    min_size=1,
    max_size=9,
)


def softmax(values: list[float]) -> list[float]:
    whole = sum(exp(value) for value in values)
    return [exp(value) / whole for value in values]


def divergences_by_loops(drawn, temperature: float) -> float:
    total = 0.0
    for number in {number for _, _, number in drawn}:
        members = [(s, t) for s, t, n in drawn if n == number and t == t]
        teacher = softmax([t / temperature for _, t in members])
        student = softmax([s / temperature for s, _ in members])
        total += sum(p * log(p / q) for p, q in zip(teacher, student, strict=True))
    return temperature**2 * total


@given(pairs, st.floats(0.5, 4))
def test_the_lists_sums_are_divergences_of_their_softmaxes(drawn, temperature):
    student, teacher, lists = (list(column) for column in zip(*drawn, strict=True))

    found = listwise_distillation(
        torch.tensor(student, dtype=torch.float64),
        torch.tensor(teacher, dtype=torch.float64),
        torch.tensor(lists),
        temperature=temperature,
    )

    expected = divergences_by_loops(drawn, temperature)
    assert found.sum().item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_shift_of_a_whole_list_costs_nothing():
    teacher = torch.tensor([1.0, -2.0, 0.5, 3.0])
    lists = torch.tensor([0, 0, 1, 1])

    found = listwise_distillation(
        teacher + torch.tensor([5.0, 5.0, -1.0, -1.0]), teacher, lists, temperature=2.0
    )

    assert found.sum().item() == pytest.approx(0, abs=1e-5)


def test_autograd_agrees_with_finite_differences():
    student = torch.tensor([0.3, -1.0, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([1.0, -2.0, nan, 0.5], dtype=torch.float64)

    assert torch.autograd.gradcheck(
        lambda asked: listwise_distillation(
            asked, teacher, torch.tensor([0, 0, 0, 1]), temperature=2.0
        ),
        (student,),
    )


def test_pairs_without_a_score_or_company_get_no_gradient():
    student = torch.zeros(3, requires_grad=True)

    listwise_distillation(
        student, torch.tensor([nan, 1.0, 2.0]), torch.tensor([0, 0, 1]), temperature=1.0
    ).sum().backward()

    assert student.grad.tolist() == [0, 0, 0]
