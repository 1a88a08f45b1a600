"""The benchmark's steps really train, and its ratios are to their base; no time is asserted."""

import pytest

from relevance.errors import BadInput
from tests.trainer.make_students import CATALOGUE, shop_pairs
from trainer.benchmark import CONTENDERS, ITEMS, PEER, QUERIES, measure_training


def test_every_contender_takes_its_turns_on_the_same_pairs(wide_backbone_folder):
    timings = measure_training(
        shop_pairs(), CATALOGUE, backbone=str(wide_backbone_folder), rounds=1, contenders=CONTENDERS
    )

    assert [timing.name for timing in timings] == list(CONTENDERS)
    assert {timing.pairs for timing in timings} == {QUERIES * ITEMS}
    assert all(timing.ms_per_pair > 0 for timing in timings)
    assert {timing.name for timing in timings if timing.ratio == 1} >= {t.base for t in timings}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library's own
def test_the_peer_trains_on_the_same_pairs(wide_backbone_folder):
    timings = measure_training(
        shop_pairs(),
        CATALOGUE,
        backbone=str(wide_backbone_folder),
        rounds=1,
        contenders=("colbert: label + score", PEER),
    )

    assert [timing.name for timing in timings] == ["colbert: label + score", PEER]
    assert timings[1].base == timings[0].name


def test_too_few_pairs_are_said(wide_backbone_folder):
    with pytest.raises(BadInput, match="expected 16 queries with 4 items, got 1"):
        measure_training(shop_pairs()[:4], CATALOGUE, backbone=str(wide_backbone_folder), rounds=1)
