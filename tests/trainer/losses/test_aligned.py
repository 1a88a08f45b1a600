"""Aspect-aligned attention against loops over the cells it pairs up."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.losses.aligned import aspect_alignment, supervised

matrices = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float64, shape, elements=st.floats(-1, 1)),
        hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 0.0, 0.0, 1.0])),
    )
)


def alignment_by_loops(cosines: np.ndarray, signs: np.ndarray) -> tuple[float, int]:
    """Cost and count of one pair."""
    cost, count = 0.0, 0
    for table, marks in ((cosines, signs), (cosines.T, signs.T)):
        for row, of_row in zip(table, marks, strict=True):
            matching = row[of_row == 1]
            if len(matching):
                cost, count = cost + (1 - matching.max()) ** 2, count + 1
    for cosine in cosines[signs == -1]:
        cost, count = cost + max(0.0, cosine - 0.2) ** 2, count + 1
    return cost, count


@given(matrices)
def test_matching_tokens_seek_a_partner_in_their_span_and_contrary_ones_part(matrix):
    cosines, signs = matrix

    found = aspect_alignment(torch.from_numpy(cosines), torch.from_numpy(signs))

    expected = [alignment_by_loops(c, s) for c, s in zip(cosines, signs, strict=True)]
    assert found.tolist() == pytest.approx([cost for cost, _ in expected], abs=1e-12)
    assert supervised(torch.from_numpy(signs)).tolist() == [count for _, count in expected]


def test_autograd_agrees_with_finite_differences():
    cosines = torch.tensor([[[0.9, -0.3, 0.5], [0.1, 0.7, 0.35]]], dtype=torch.float64)
    signs = torch.tensor([[[1.0, 1.0, 0.0], [0.0, -1.0, -1.0]]])

    assert torch.autograd.gradcheck(
        lambda asked: aspect_alignment(asked, signs), (cosines.requires_grad_(),)
    )


def test_where_nothing_is_paired_up_nothing_flows():
    cosines = torch.rand(2, 3, 4, requires_grad=True)

    found = aspect_alignment(cosines, torch.zeros(2, 3, 4))
    found.sum().backward()

    assert found.tolist() == [0, 0]
    assert (cosines.grad == 0).all()
