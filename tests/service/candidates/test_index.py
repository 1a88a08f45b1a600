"""The candidate index: it proposes who is near, never who is gone, and refuses what it is not."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from relevance.errors import BadGeneration
from relevance.generation import StorePaths
from relevance.late_interaction import quantise_query
from service.candidates.index import (
    INDEX,
    CandidateIndex,
    build_candidates,
    factory,
    make_index,
    read_candidates,
)
from service.candidates.pooled import pool, query_vectors, unit
from service.encoder import OnnxTokenEncoder
from tests.service.conftest import UNHURRIED
from tests.service.redis_tier.stores import current_reader


def maxsim(query: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Each item's mean over query tokens of the best cosine: the oracle."""
    scores = np.full(len(rows), -np.inf)
    for at, count in enumerate(counts.tolist()):
        if count:
            tokens = unit(rows[at, :count].astype(np.float32) - 128)
            scores[at] = (query @ tokens.T).max(axis=1).mean()
    return scores


@pytest.fixture
def generation(store_folder):
    return current_reader(store_folder)


@pytest.fixture
def query(generation, codec_of_bundle) -> np.ndarray:
    return query_vectors(quantise_query(codec_of_bundle.tokens("red steel lamp")))


class CodecOfBundle:
    def __init__(self, encoder, limit: int) -> None:
        self._encoder, self._limit = encoder, limit

    def tokens(self, text: str) -> np.ndarray:
        return self._encoder.encode(text, limit=self._limit).vectors


@pytest.fixture
def codec_of_bundle(bundle_folder, bundle) -> CodecOfBundle:
    return CodecOfBundle(OnnxTokenEncoder.read(bundle_folder, bundle), bundle.max_query_tokens)


ROWS = arrays.arrays(np.uint8, (4, 6, 8))


@UNHURRIED
@given(
    rows=ROWS, counts=arrays.arrays(np.uint8, 4, elements=st.integers(0, 6)), span=st.integers(1, 9)
)
def test_pooling_means_neighbouring_real_tokens_and_nothing_else(rows, counts, span) -> None:
    pooled = pool(rows, counts, span=span)

    expected = [
        unit((rows[at, start : min(start + span, count)].astype(np.float32) - 128).sum(0)[None])[0]
        for at, count in enumerate(counts.tolist())
        for start in range(0, count, span)
    ]
    assert pooled.counts.tolist() == [-(-int(count) // span) for count in counts]
    assert np.allclose(pooled.vectors, np.array(expected).reshape(-1, 8), atol=1e-5)


def test_over_all_tokens_the_nearest_items_are_those_of_exact_maxsim(generation, query) -> None:
    index = make_index(generation, span=1)
    items = generation.manifest.items
    exact = maxsim(query, generation.arena[:items], generation.token_counts[:items])

    near = index.nearest(query, depth=items, probed_share=1)

    depth_20 = np.sort(exact)[::-1][19]
    assert (exact[near[:20]] >= depth_20 - 0.01).all()  # one byte a dimension errs a little
    assert len(np.unique(near)) == len(near)
    assert np.count_nonzero(generation.token_counts[near] == 0) == 0


def test_a_longer_span_makes_fewer_vectors(generation) -> None:
    counts = [len(make_index(generation, span=span).owners) for span in (1, 2, 6)]

    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == np.count_nonzero(generation.token_counts)


def test_items_that_are_gone_are_never_proposed_and_others_take_their_places(
    generation, query
) -> None:
    index = make_index(generation, span=1)
    first = index.nearest(query, depth=10)

    near = index.nearest(query, depth=10, live=index.bitmap(np.sort(first)))

    assert len(near) == 10
    assert not np.intersect1d(first, near).size
    assert index.bitmap(np.empty(0, np.int64)) is None


def test_probing_every_list_finds_what_a_scan_finds_and_probing_few_less(generation, query) -> None:
    in_lists, scanned = (make_index(generation, span=1, kind=kind) for kind in ("IVF8,SQ8", "SQ8"))
    items = generation.manifest.items
    exact = maxsim(query, generation.arena[:items], generation.token_counts[:items])

    found = [
        index.nearest(query, depth=30, probed_share=share)
        for index, share in ((scanned, 1), (in_lists, 1), (in_lists, 8))
    ]

    assert np.allclose(np.sort(exact[found[0]]), np.sort(exact[found[1]]), atol=0.02)
    assert exact[found[2]].sum() <= exact[found[1]].sum() + 0.02


def test_few_vectors_are_scanned_and_many_lie_in_lists() -> None:
    assert factory(49_999) == "SQ8"
    assert factory(325_009) == "IVF2280,SQ8"
    assert factory(10**9) == "IVF8192,SQ8"


@pytest.fixture
def store(store_folder, tmp_path):
    shutil.copytree(store_folder, tmp_path / "store")
    return StorePaths(tmp_path / "store")


def test_a_built_index_is_read_back_and_answers_alike(store, query) -> None:
    generation = current_reader(store.root)
    build_candidates(store, generation, span=2)

    read = read_candidates(store, generation.manifest)

    made = make_index(generation, span=2)
    assert isinstance(read, CandidateIndex)
    assert np.array_equal(read.nearest(query, depth=30), made.nearest(query, depth=30))


def test_a_damaged_absent_or_foreign_index_is_refused(store) -> None:
    generation = current_reader(store.root)
    with pytest.raises(BadGeneration, match="expected a manifest"):
        read_candidates(store, generation.manifest)
    folder = build_candidates(store, generation)
    foreign = generation.manifest.model_copy(update={"bundle_id": "f" * 16})
    with pytest.raises(BadGeneration, match="expected one of .*, got one of"):
        read_candidates(store, foreign)

    damaged = bytearray((folder / INDEX).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / INDEX).write_bytes(bytes(damaged))

    with pytest.raises(BadGeneration, match="is not what the manifest seals"):
        read_candidates(store, generation.manifest)
