"""Golden rows come back as the definition finds them, extremes among them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.golden import ITEMS, QUERY_TOKENS, write_golden
from relevance.late_interaction import QUERY_LIMIT, integer_maxima


@settings(max_examples=10)
@given(dim=st.integers(1, 40), rows=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_what_is_read_is_what_the_definition_finds(tmp_path_factory, dim, rows, seed):
    path = tmp_path_factory.getbasetemp() / "golden.npz"

    write_golden(path, dim=dim, rows=rows, seed=seed)

    golden = np.load(path)
    query, arena, maxima = golden["query"], golden["arena"], golden["maxima"]
    assert (query.dtype, arena.dtype, maxima.dtype) == (np.int8, np.uint8, np.int32)
    assert (query.shape, arena.shape) == ((QUERY_TOKENS, dim), (ITEMS, rows, dim))
    assert np.abs(query.astype(int)).max() <= QUERY_LIMIT
    assert np.array_equal(maxima, integer_maxima(query, arena))


def test_the_largest_products_of_either_sign_are_among_them(tmp_path):
    write_golden(tmp_path / "golden.npz", dim=128, rows=4)

    maxima = np.load(tmp_path / "golden.npz")["maxima"]

    assert maxima[0, 0] == 128 * 64 * 127
    assert maxima[1, 1] == 128 * 64 * 127
    assert maxima[0, 1] == maxima[1, 0] == -128 * 64 * 127
    assert (maxima[2] == 0).all()


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        write_golden(tmp_path / name, dim=8, rows=3)

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
