"""Golden rows come back as the definition finds them, extremes among them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.golden import ITEMS, QUERY_TOKENS, write_golden
from relevance.late_interaction import QUERY_LIMIT, integer_maxima


@settings(max_examples=10)
@given(
    row_bytes=st.integers(1, 40),
    rows=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([8, 4]),
)
def test_what_is_read_is_what_the_definition_finds(tmp_path_factory, row_bytes, rows, seed, bits):
    path = tmp_path_factory.getbasetemp() / "golden.npz"
    dim = row_bytes * 8 // bits

    write_golden(path, dim=dim, rows=rows, bits=bits, seed=seed)

    golden = np.load(path)
    query, arena, maxima = golden["query"], golden["arena"], golden["maxima"]
    assert (query.dtype, arena.dtype, maxima.dtype) == (np.int8, np.uint8, np.int32)
    assert (query.shape, arena.shape) == ((QUERY_TOKENS, dim), (ITEMS, rows, row_bytes))
    assert np.abs(query.astype(int)).max() <= QUERY_LIMIT
    assert np.array_equal(maxima, integer_maxima(query, arena, bits=bits))


@pytest.mark.parametrize(("bits", "most"), [(8, 127), (4, 15)])
def test_the_largest_products_of_either_sign_are_among_them(tmp_path, bits, most):
    write_golden(tmp_path / "golden.npz", dim=128, rows=4, bits=bits)

    maxima = np.load(tmp_path / "golden.npz")["maxima"]

    assert maxima[0, 0] == maxima[1, 1] == 128 * 64 * most
    assert maxima[0, 1] == maxima[1, 0] == -128 * 64 * most
    assert (maxima[2] == 0).all() or bits == 4


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        write_golden(tmp_path / name, dim=8, rows=3)

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
