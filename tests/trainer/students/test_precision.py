"""Seeds repeat, and autocast is on exactly where the processor multiplies bfloat16 itself."""

import pytest
import torch

from trainer.students.precision import has_native_bfloat16, mixed_precision, seed_everything


@pytest.fixture(autouse=True)
def _as_before():
    yield
    torch.use_deterministic_algorithms(False)


def test_a_seed_repeats_the_numbers_and_asks_for_deterministic_operators():
    seed_everything(7)
    first = torch.rand(5)
    seed_everything(7)
    again = torch.rand(5)
    seed_everything(8)

    assert torch.equal(first, again)
    assert not torch.equal(first, torch.rand(5))
    assert torch.are_deterministic_algorithms_enabled()


def test_products_are_bfloat16_only_where_the_processor_has_it():
    with mixed_precision():
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == (torch.bfloat16 if has_native_bfloat16() else torch.float32)
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
