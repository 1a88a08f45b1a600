"""A store of 4-bit rows: half the bytes, and everything that reads rows reads them right."""

from pathlib import Path

import numpy as np
import pytest

from relevance.bundle import read_bundle
from relevance.errors import BadGeneration, BadInput
from relevance.generation import StorePaths
from relevance.item_rows import RowCodec
from relevance.late_interaction import item_steps
from service.candidates.pooled import pool
from service.encoder import OnnxTokenEncoder
from service.faiss_store.token_store import TokenCodec, build_tokens
from service.query_cache import QueryCache
from service.refresh.refresh import refresh
from service.scorer import NumpyScorer, OnnxScorer, open_scorer
from service.self_check import golden_pair
from service.snapshot import Snapshot
from service.store.base import check_bundle
from tests.service.make_bundle import make_bundle
from tests.service.redis_tier.stores import current_reader
from tests.service.test_scorer import make_query


@pytest.fixture(scope="module")
def folders(tmp_path_factory, catalogue_file) -> tuple[Path, Path]:
    bundle, store = (tmp_path_factory.mktemp(name) for name in ("bundle", "store"))
    make_bundle(bundle, codec=RowCodec(bits=4))
    refresh(bundle=bundle, items=catalogue_file, store=store)
    return bundle, store


def test_a_generation_takes_half_the_bytes_and_says_how_many_bits(folders, store_folder) -> None:
    small, plain = current_reader(folders[1]), current_reader(store_folder)

    assert small.manifest.bits == 4
    assert small.manifest.item_bytes * 2 == plain.manifest.item_bytes
    assert small.arena.shape[2] * 2 == plain.arena.shape[2]


def test_graph_and_numpy_score_its_rows_to_the_same_bits(folders) -> None:
    bundle = read_bundle(folders[0])
    scorer, degraded = open_scorer(folders[0], bundle)
    arena = current_reader(folders[1]).arena
    everything = np.arange(len(arena))

    found = scorer.score(make_query(5, 0), arena, everything)
    expected = NumpyScorer(bundle).score(make_query(5, 0), arena, everything)

    assert isinstance(scorer, OnnxScorer)
    assert degraded == ()
    assert found.logits.tobytes() == expected.logits.tobytes()


def test_the_self_check_passes_on_them(folders) -> None:
    bundle, scorer = read_bundle(folders[0]), open_scorer(folders[0], read_bundle(folders[0]))[0]
    encoder = OnnxTokenEncoder.read(folders[0], bundle)
    snapshot = Snapshot(bundle, encoder, scorer, current_reader(folders[1]), QueryCache(0))

    assert golden_pair(snapshot).fault(snapshot) is None


def test_pooled_vectors_are_the_means_of_their_steps(folders) -> None:
    reader = current_reader(folders[1])
    rows, counts = reader.arena[:8], reader.token_counts[:8]

    found = pool(rows, counts, span=rows.shape[1], bits=4)

    means = [
        item_steps(row[:count], bits=4).mean(axis=0)
        for row, count in zip(rows, counts, strict=True)
        if count
    ]
    expected = [mean / np.linalg.norm(mean) for mean in means]
    assert np.allclose(found.vectors, expected, atol=1e-6)


def test_a_bundle_of_other_bits_does_not_open_them(folders) -> None:
    bundle, reader = read_bundle(folders[0]), current_reader(folders[1])
    other = bundle.model_copy(update={"codec": RowCodec(), "dim": bundle.dim // 2})

    with pytest.raises(BadGeneration, match="expected rows, bytes, bits, item text"):
        check_bundle(reader.manifest, other, folders[1])


def test_faiss_refuses_to_make_them_larger(folders) -> None:
    with pytest.raises(BadInput, match="expected rows of 8 bits a value, got 4"):
        build_tokens(StorePaths(folders[1]), current_reader(folders[1]), TokenCodec.FLAT)
