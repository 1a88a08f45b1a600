"""`/score` and `/explain` against the bundle's own runner, which calibration and evaluation use."""

from pathlib import Path

import numpy as np
import pytest

from exporter.bundle_scoring import Lengths, RowFormat, encode_pairs, integer_similarities
from relevance.bundle import BundleManifest, read_bundle
from relevance.domain import Item
from relevance.item_rows import RowCodec
from relevance.late_interaction import sigmoid
from relevance.text import normalise
from service.encoder import OnnxTokenEncoder
from service.explain import explain_reply
from service.explain_wire import ExplainRequest
from service.explanations import Explanations
from service.fakes import items_in_memory
from service.item_codec import ItemCodec
from service.job import Job
from service.query_cache import QueryCache
from service.score import rank
from service.scorer import open_scorer
from service.snapshot import Snapshot
from service.wire import Candidates, InlineItem
from tests.service.conftest import CATALOGUE
from tests.service.make_bundle import make_bundle

QUERIES = ("red water bottle", "Ｏak  desk\u200b, 2-in-1", "a [SEP] lamp", "steel " * 9, "42")
CODECS = {
    "plain": RowCodec(),
    "pooled": RowCodec(pooling=2),
    "without punctuation": RowCodec(skip_punctuation=True),
    "both": RowCodec(pooling=3, skip_punctuation=True),
    "four bits": RowCodec(bits=4),
    "four bits and pooled": RowCodec(pooling=2, bits=4),
}
ITEMS = (*CATALOGUE[:16], Item("dots", "red - oak / desk, lamp . steel"), Item("only", "- . /"))


@pytest.fixture(scope="module", params=CODECS, ids=str)
def folder(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder, codec=CODECS[request.param], max_item_tokens=12)
    return folder


def make_snapshot(folder: Path, bundle: BundleManifest) -> Snapshot:
    encoder = OnnxTokenEncoder.read(folder, bundle)
    scorer, _ = open_scorer(folder, bundle)
    items = items_in_memory(ITEMS, ItemCodec(encoder, bundle))
    return Snapshot(bundle, encoder, scorer, items, QueryCache(0))


def test_scores_are_the_bundles_own_to_the_last_bit(folder) -> None:
    bundle = read_bundle(folder)
    bare = bundle.model_copy(update={"logit_weight": 1.0, "logit_bias": 0.0})
    snapshot = make_snapshot(folder, bare)
    texts = [snapshot.codec.text(item) for item in ITEMS]
    pairs = [(normalise(query), text) for query in QUERIES for text in texts]
    lengths = Lengths(query=bundle.max_query_tokens, item=bundle.max_item_tokens)

    encoded = encode_pairs(folder, pairs, lengths=lengths)
    similarities = integer_similarities(folder, encoded, RowFormat.of(bundle))

    ids = [item.item_id for item in ITEMS]
    scores = [rank(Job(snapshot), Candidates(query=q, item_ids=ids)).scored.scores for q in QUERIES]
    assert np.array_equal(np.concatenate(scores), sigmoid(similarities), equal_nan=True)
    assert np.isnan(similarities).sum() == len(QUERIES)  # the item without text


def test_explanations_add_up_and_point_into_the_text_whatever_the_codec(folder) -> None:
    snapshot = make_snapshot(folder, read_bundle(folder))

    for query in QUERIES:
        for item in ITEMS[::4]:
            request = ExplainRequest(query=query, item_id=item.item_id)
            reply = explain_reply(Job(snapshot), request, Explanations([]))
            if reply.logit is None:
                continue
            shares = [row.contribution for row in reply.contributions]
            assert sum(shares) + reply.bias == pytest.approx(reply.logit, abs=1e-6)
            for row in reply.contributions:
                assert reply.item_text[row.best.start : row.best.end] == row.best.token != ""


def test_an_item_sent_along_scores_as_its_cached_twin_whatever_the_codec(folder) -> None:
    snapshot = make_snapshot(folder, read_bundle(folder))
    asked = Candidates(
        query=QUERIES[0],
        item_ids=[item.item_id for item in ITEMS],
        items=[
            InlineItem(item.item_id, title=item.title, brand=item.brand, color=item.color)
            for item in ITEMS
        ],
    )

    scored = rank(Job(snapshot), asked).scored

    cached, inline = np.split(scored.scores, 2)
    assert cached.tobytes() == inline.tobytes()
    assert np.array_equal(*np.split(scored.truncated, 2))
