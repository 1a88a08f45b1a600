"""Cross-entropy on labels against logarithms written out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.losses.label import label_cross_entropy

pairs = st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=1, max_size=9)


@given(pairs)
def test_it_is_minus_the_log_of_the_probability_of_the_label(labelled):
    logits = torch.tensor([logit for logit, _ in labelled], dtype=torch.float64)

    found = label_cross_entropy(logits, torch.tensor([good for _, good in labelled]))

    expected = [math.log1p(math.exp(-logit if good else logit)) for logit, good in labelled]
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(pairs)
def test_its_gradient_is_probability_minus_label(labelled):
    logits = torch.tensor([z for z, _ in labelled], dtype=torch.float64, requires_grad=True)
    good = torch.tensor([float(good) for _, good in labelled])

    label_cross_entropy(logits, good).sum().backward()

    expected = (torch.sigmoid(logits.detach()) - good).tolist()
    assert logits.grad.tolist() == pytest.approx(expected, abs=1e-12)


def test_autograd_agrees_with_finite_differences():
    logits = torch.tensor([-4.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(
        lambda asked: label_cross_entropy(asked, torch.tensor([1.0, 0.0, 0.0])), (logits,)
    )


def test_a_hopeless_pair_costs_its_distance_and_not_infinity():
    found = label_cross_entropy(torch.tensor([-500.0, 500.0]), torch.tensor([1.0, 0.0]))

    assert found.tolist() == [500, 500]
