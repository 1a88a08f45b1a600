"""A new generation of the same items: deltas folded in, or another bundle's rows."""

import pytest

from relevance.domain import Item
from relevance.errors import BadGeneration, BadInput, GateRefused
from relevance.generation import read_current
from relevance.records import Pair
from service.refresh.compact import compact, is_due
from service.refresh.compare import PairScorer, compare
from service.refresh.refresh import refresh
from service.refresh.rollout import Limits, roll_out
from service.store.delta_log import append_changes
from service.store.difference import compare_generations
from service.store.retention import held_generations, roll_back
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle
from tests.service.store.keeping import read
from tests.service.test_store_deltas import make_changes


def test_compaction_folds_deltas_into_a_new_generation(store, bundle) -> None:
    puts = [Item(f"x{at}", f"oak {at}") for at in range(60)]
    changes = make_changes(bundle, puts, ["B001", "lamp-3"])
    # these rows come from another encoder; a compaction must not care who made them
    append_changes(store, changes, bundle_id=bundle.bundle_id)
    before = read(store)
    assert is_due(before)

    with pytest.raises(BadGeneration, match="expected the bytes of encoding it again"):
        compact(store.root)
    assert read(store).generation_id == before.generation_id


def test_compaction_shows_the_same_items_and_encodes_none(store, bundle_folder, tmp_path) -> None:
    items = write_catalogue(tmp_path / "i.jsonl", [*CATALOGUE[2:], Item("new", "Oak lamp")])
    refresh(bundle=bundle_folder, items=items, store=store.root)
    before = read(store)

    report = compact(store.root)

    assert (report.encoded, report.sequence) == (0, 0)
    assert report.generation_id != before.generation_id
    found = compare_generations(before, read(store))
    assert (found.added, found.removed, found.changed_fields, found.changed_rows) == (0, 0, 0, 0)


def test_a_rollout_switches_bundle_and_generation_and_can_be_undone(store, tmp_path) -> None:
    old = read_current(store)
    other = make_bundle(tmp_path / "other", seed=1)

    done = roll_out(bundle=tmp_path / "other", store=store.root)

    now = read_current(store)
    assert now.bundle == other.bundle_id
    assert done.report.encoded == len(CATALOGUE)
    assert done.comparison.pairs > 0
    assert done.comparison.mean_difference > 0
    assert roll_back(store) == old


def test_a_rollout_that_changes_too_much_is_refused_and_kept_aside(store, tmp_path) -> None:
    before = read_current(store)
    make_bundle(tmp_path / "other", seed=1)

    with pytest.raises(GateRefused, match=r"of \d+ pairs .* changed their label"):
        roll_out(bundle=tmp_path / "other", store=store.root, limits=Limits(mean_difference=1e-6))

    assert read_current(store) == before
    assert len(held_generations(store)) == 2


def test_a_rollout_of_the_live_bundle_is_refused(store, bundle_folder) -> None:
    with pytest.raises(BadInput, match="expected another bundle than the live"):
        roll_out(bundle=bundle_folder, store=store.root)


def test_a_bundle_compared_with_itself_differs_in_nothing(store) -> None:
    scorer = PairScorer.open(store, read(store))
    pairs = [Pair("oak lamp", f"lamp-{at}") for at in range(9)] + [Pair("oak", "absent")]

    found = compare(scorer, scorer, pairs)

    assert (found.pairs, found.skipped, found.mean_difference) == (9, 1, 0.0)
    assert (found.largest_difference, found.changed_labels) == (0.0, 0.0)
    assert found.rank_correlation == pytest.approx(1.0)
