"""In-batch contrast against softmaxes written out, row by row."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainer.losses.contrastive import in_batch_contrast

squares = st.integers(1, 6).flatmap(
    lambda size: arrays(np.float64, (size, size), elements=st.floats(-1, 1))
)


def contrast_by_loops(similarities: np.ndarray, temperature: float) -> list[float]:
    found = []
    for row in range(len(similarities)):
        whole = sum(exp(value / temperature) for value in similarities[row])
        found.append(-log(exp(similarities[row][row] / temperature) / whole))
    return found


@given(squares, st.floats(0.05, 2))
def test_each_row_is_the_log_softmax_of_its_own_column(similarities, temperature):
    found = in_batch_contrast(torch.from_numpy(similarities), temperature=temperature)

    expected = contrast_by_loops(similarities, temperature)
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(squares, st.randoms(use_true_random=False))
def test_the_order_of_texts_in_a_step_changes_no_texts_loss(similarities, random):
    order = list(range(len(similarities)))
    random.shuffle(order)

    found = in_batch_contrast(torch.from_numpy(similarities[order][:, order]), temperature=0.05)

    whole = in_batch_contrast(torch.from_numpy(similarities), temperature=0.05)
    assert found.tolist() == pytest.approx(whole[order].tolist(), rel=1e-9, abs=1e-12)


def test_a_text_that_is_alone_costs_nothing():
    assert in_batch_contrast(torch.tensor([[0.3]]), temperature=0.05).tolist() == [0.0]


def test_autograd_agrees_with_finite_differences():
    similarities = torch.tensor(
        [[0.9, 0.2, 0.4], [0.1, 0.3, 0.8], [-0.5, 0.0, 0.6]], dtype=torch.float64
    ).requires_grad_()

    assert torch.autograd.gradcheck(
        lambda asked: in_batch_contrast(asked, temperature=0.5), (similarities,)
    )


def test_close_texts_stay_finite_at_a_low_temperature_in_float32():
    similarities = torch.tensor([[1.0, -1.0], [1.0, -1.0]], requires_grad=True)

    found = in_batch_contrast(similarities, temperature=0.005)
    found.sum().backward()

    assert torch.isfinite(found).all()
    assert torch.isfinite(similarities.grad).all()
