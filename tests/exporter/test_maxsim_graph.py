"""The integer graph in ONNX Runtime against the NumPy definition: exact, alone and in company."""

from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from exporter.bundle_scoring import open_session
from exporter.maxsim_graph import maxsim_graph, write_maxsim_graph
from relevance.late_interaction import (
    QUERY_LIMIT,
    QuantisedQuery,
    integer_maxima,
    logits,
    token_contributions,
)

# queries, items, rows, bytes of a row
sizes = st.tuples(*(st.integers(1, most) for most in (9, 7, 6, 40)))
bits_of = st.sampled_from([8, 4])
steps = st.integers(-QUERY_LIMIT, QUERY_LIMIT)
extreme_steps = st.sampled_from([-QUERY_LIMIT, QUERY_LIMIT])
extreme_bytes = st.sampled_from([0, 1, 127, 128, 255])


@cache
def session(dim: int, bits: int = 8) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(maxsim_graph(dim=dim, bits=bits).SerializeToString(), options)


def maxima_of(query: np.ndarray, arena: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """By the graph of as many bits as make a row of the query's width."""
    feed = {"query": query, "arena": arena, "positions": positions.astype(np.int64)}
    return session(query.shape[1], bits_in(query, arena)).run(["maxima"], feed)[0]


def bits_in(query: np.ndarray, arena: np.ndarray) -> int:
    return 8 * arena.shape[2] // query.shape[1]


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A query, an arena and positions in it, extreme or anything."""
    queries, items, rows, row_bytes = draw(sizes)
    dim = row_bytes * 8 // draw(bits_of)
    extreme = draw(st.booleans())
    query = draw(hnp.arrays(np.int8, (queries, dim), elements=extreme_steps if extreme else steps))
    of_bytes = extreme_bytes if extreme else st.integers(0, 255)
    arena = draw(hnp.arrays(np.uint8, (items, rows, row_bytes), elements=of_bytes))
    positions = draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=9))
    return query, arena, np.array(positions)


@given(searches())
def test_maxima_are_those_of_the_definition(search):
    query, arena, positions = search

    found = maxima_of(query, arena, positions)

    assert found.dtype == np.int32
    bits = bits_in(query, arena)
    assert np.array_equal(found, integer_maxima(query, arena[positions], bits=bits))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    dim=st.sampled_from([64, 126, 128, 384, 1024]),
    rows=st.sampled_from([1, 31, 32]),
    bits=bits_of,
)
def test_maxima_are_exact_at_the_sizes_that_are_served(seed, dim, rows, bits):
    random = np.random.default_rng(seed)
    query = random.integers(-QUERY_LIMIT, QUERY_LIMIT + 1, (16, dim), dtype=np.int8)
    arena = random.integers(0, 256, (50, rows, dim * bits // 8), dtype=np.uint8)
    positions = random.permutation(50)[:20]

    found = maxima_of(query, arena, positions)

    assert np.array_equal(found, integer_maxima(query, arena[positions], bits=bits))


@pytest.mark.parametrize("byte", [0, 1, 255])
@pytest.mark.parametrize("step", [-QUERY_LIMIT, QUERY_LIMIT])
@pytest.mark.parametrize("dim", [128, 1024])
def test_nothing_saturates_at_the_extremes(dim, step, byte):
    query = np.full((16, dim), step, np.int8)
    arena = np.full((8, 32, dim), byte, np.uint8)

    found = maxima_of(query, arena, np.arange(8))

    assert (found == dim * step * (byte - 128)).all()


@pytest.mark.parametrize(("byte", "value"), [(0, -15), (255, 15), (0x0F, 0), (0xF0, 0)])
@pytest.mark.parametrize("step", [-QUERY_LIMIT, QUERY_LIMIT])
@pytest.mark.parametrize("dim", [128, 1024])
def test_nothing_saturates_at_the_extremes_of_four_bits(dim, step, byte, value):
    query = np.full((16, dim), step, np.int8)
    arena = np.full((8, 32, dim // 2), byte, np.uint8)

    found = maxima_of(query, arena, np.arange(8))

    assert (found == dim * step * value).all()


@given(searches(), st.data())
def test_a_logit_is_the_sum_of_its_contributions_and_the_same_bits_alone_and_in_company(
    search, data
):
    query, arena, positions = search
    scales = data.draw(
        hnp.arrays(np.float32, len(query), elements=st.floats(2**-13, 2**-3, width=32))
    )
    weight, bias = data.draw(st.floats(0.5, 40)), data.draw(st.floats(-20, 20))

    def contributions_of(at: np.ndarray) -> np.ndarray:
        maxima = maxima_of(query, arena, at)
        return token_contributions(maxima, scales, item_scale=0.007, weight=weight)

    together = contributions_of(positions)
    found = logits(together, bias=bias)

    assert found == pytest.approx(together.sum(axis=1) + bias, rel=1e-12, abs=1e-9)
    alone = [logits(contributions_of(positions[at : at + 1]), bias=bias)[0]
             for at in range(len(positions))]  # fmt: skip
    assert found.tobytes() == np.array(alone).tobytes()
    order = np.array(data.draw(st.permutations(range(len(positions)))))
    shuffled = logits(contributions_of(positions[order]), bias=bias)
    assert shuffled.tobytes() == found[order].tobytes()


def test_a_big_batch_scores_the_same_bits_as_each_of_its_items():
    random = np.random.default_rng(0)
    query = QuantisedQuery(
        random.integers(-64, 65, (13, 128), dtype=np.int8),
        random.uniform(1e-3, 1e-2, 13).astype(np.float32),
    )
    arena = random.integers(0, 256, (1000, 8, 128), dtype=np.uint8)

    def scored(positions: np.ndarray) -> np.ndarray:
        maxima = maxima_of(query.steps, arena, positions)
        shares = token_contributions(maxima, query.scales, item_scale=0.003, weight=14.2)
        return logits(shares, bias=-7.3)

    whole = scored(np.arange(1000))

    for at in range(0, 1000, 37):
        assert scored(np.array([at])).tobytes() == whole[at : at + 1].tobytes()


def test_no_candidate_and_no_query_token_give_empty_maxima():
    arena = np.full((3, 2, 4), 130, np.uint8)

    assert maxima_of(np.ones((2, 4), np.int8), arena, np.zeros(0)).shape == (0, 2)
    assert maxima_of(np.ones((0, 4), np.int8), arena, np.arange(3)).shape == (3, 0)


def test_a_query_of_another_width_is_refused():
    with pytest.raises(Exception, match="(?i)dimension"):
        session(4).run(
            None,
            {
                "query": np.ones((1, 5), np.int8),
                "arena": np.ones((1, 1, 5), np.uint8),
                "positions": np.zeros(1, np.int64),
            },
        )


@pytest.mark.parametrize("bits", [8, 4])
def test_the_written_graph_is_the_graph_and_the_same_bytes_each_time(tmp_path, bits):
    write_maxsim_graph(tmp_path / "one.onnx", dim=16, bits=bits)
    write_maxsim_graph(tmp_path / "two.onnx", dim=16, bits=bits)

    assert onnx.load(tmp_path / "one.onnx") == maxsim_graph(dim=16, bits=bits)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    assert open_session(tmp_path / "one.onnx").get_outputs()[0].name == "maxima"
