"""Attention regulation against loops, and where nothing may flow."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.losses.attention import (
    IRRELEVANT_MARGIN,
    attention_regulation,
    literal_attention_regulation,
)

shapes = st.tuples(st.integers(1, 5), st.integers(1, 6))
evidence = shapes.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)),
        hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 0.0, 1.0])),
    )
)


def regulation_by_loops(attention, factors):
    found = np.zeros(attention.shape)
    for at in np.ndindex(attention.shape):
        if factors[at] == 1:
            found[at] = (1 - attention[at]) ** 2
        if factors[at] == -1 and attention[at] > 0.2:
            found[at] = (attention[at] - 0.2) ** 2
    return found


@given(evidence)
def test_relevant_tokens_are_drawn_to_one_and_irrelevant_ones_below_the_margin(given_evidence):
    attention, factors = given_evidence

    found = attention_regulation(torch.from_numpy(attention), torch.from_numpy(factors))

    assert found.numpy() == pytest.approx(regulation_by_loops(attention, factors), abs=1e-12)


@given(evidence, st.data())
def test_minus_infinity_without_evidence_harms_neither_value_nor_gradient(given_evidence, data):
    attention, factors = given_evidence
    silent = data.draw(hnp.arrays(bool, attention.shape))
    factors[silent], attention[silent] = 0, -np.inf
    asked = torch.from_numpy(attention).requires_grad_()

    found = attention_regulation(asked, torch.from_numpy(factors))
    found.sum().backward()

    assert found.detach().numpy() == pytest.approx(regulation_by_loops(attention, factors))
    assert torch.isfinite(asked.grad).all()
    assert (asked.grad.numpy()[factors == 0] == 0).all()


def test_autograd_agrees_with_finite_differences():
    attention = torch.tensor([[0.9, -0.3, 0.5], [0.1, 0.7, -0.9]], dtype=torch.float64)
    factors = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 0.0, 1.0]])

    assert torch.autograd.gradcheck(
        lambda asked: attention_regulation(asked, factors), (attention.requires_grad_(),)
    )


@pytest.mark.parametrize("attention", [-1.0, 0.0, IRRELEVANT_MARGIN])
def test_an_irrelevant_token_below_the_margin_is_left_alone(attention):
    asked = torch.tensor([[attention]], requires_grad=True)

    found = attention_regulation(asked, torch.tensor([[-1.0]]))
    found.sum().backward()

    assert found.item() == 0
    assert asked.grad.item() == 0


def test_gradients_pull_relevant_tokens_up_and_push_irrelevant_ones_down():
    attention = torch.full((1, 2), 0.5, requires_grad=True)

    attention_regulation(attention, torch.tensor([[1.0, -1.0]])).sum().backward()

    assert attention.grad.tolist()[0] == pytest.approx([-1.0, 0.6])


@given(evidence)
def test_the_literal_variant_is_minus_the_root_over_the_number_of_a_texts_evidence(given_evidence):
    attention, factors = given_evidence

    found = literal_attention_regulation(torch.from_numpy(attention), torch.from_numpy(factors))

    for row, of_row, cost in zip(attention, factors, found.tolist(), strict=True):
        squares = [(f - a) ** 2 for a, f in zip(row, of_row, strict=True) if f]
        expected = -(sum(squares) ** 0.5) / len(squares) if squares else 0.0
        assert cost == pytest.approx(expected, abs=1e-5)


def test_the_literal_variants_gradient_is_right_and_finite_even_where_the_root_is_0():
    attention = torch.tensor([[0.9, -0.3], [0.1, 0.7]], dtype=torch.float64)
    perfect = torch.tensor([[1.0, 0.4], [0.2, 0.3]], requires_grad=True)

    literal_attention_regulation(perfect, torch.tensor([[1.0, 0], [0, 0]])).sum().backward()

    assert torch.isfinite(perfect.grad).all()
    assert torch.autograd.gradcheck(
        lambda asked: literal_attention_regulation(asked, torch.tensor([[1.0, -1], [0, 1]])),
        (attention.requires_grad_(),),
    )
