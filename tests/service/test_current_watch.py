import asyncio
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from relevance.domain import Item
from relevance.errors import BadBundle
from relevance.generation import EMBEDDINGS, Current, StorePaths, read_current, switch_current
from relevance.late_interaction import quantise_query
from service.current_watch import STAYED, CurrentWatch, prepare, wait_for_others
from service.refresh.refresh import refresh
from service.run_folder import Phase, RunFolder, WorkerState
from service.serving import item_count, open_pair
from service.settings import Settings
from service.snapshot import Snapshot
from service.store.delta_log import append_changes
from service.store.segment import Changes
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.live_service import eventually
from tests.service.make_bundle import make_bundle


@dataclass
class Store:
    """A store of its own for one test; new generations are copies under another name."""

    root: Path

    @property
    def settings(self) -> Settings:
        return Settings(store=self.root)

    @property
    def paths(self) -> StorePaths:
        return StorePaths(self.root)

    def copy(self, name: str) -> str:
        current = read_current(self.paths).generation
        folder = self.paths.generation(name)
        shutil.copytree(self.paths.generation(current), folder)
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace(current, name))
        return name

    def switch(self, name: str) -> str:
        bundle = read_current(self.paths).bundle
        switch_current(self.paths, Current(generation=name, bundle=bundle))
        return name


@dataclass
class Watched:
    watch: CurrentWatch
    run: RunFolder
    answers: list[Snapshot] = field(default_factory=list)

    def look(self) -> None:
        asyncio.run(self.watch.look(lambda: None))

    @property
    def generation(self) -> str:
        return self.watch.snapshot.items.generation_id


@pytest.fixture
def store(tmp_path, store_folder) -> Store:
    shutil.copytree(store_folder, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture
def watched(store, tmp_path) -> Watched:
    run = RunFolder(tmp_path / "run")
    run.make()
    answers: list[Snapshot] = []
    watch = CurrentWatch(
        store.settings,
        first=prepare(store.settings, open_pair),
        run=run,
        answer_with=answers.append,
    )
    return Watched(watch, run, answers)


def score(snapshot: Snapshot, query: str, item_id: str) -> float:
    tokens = snapshot.encoder.encode(query, limit=snapshot.bundle.max_query_tokens)
    rows = snapshot.items.rows_of([item_id])
    scored = snapshot.scorer.score(quantise_query(tokens.vectors), snapshot.items.arena, rows)
    return float(scored.probabilities[0])


def test_a_new_generation_is_followed_and_shares_what_did_not_change(store, watched) -> None:
    before = watched.watch.snapshot
    made = store.switch(store.copy("copy"))

    watched.look()

    assert watched.generation == made
    assert watched.answers == [watched.watch.snapshot]
    assert watched.watch.snapshot.encoder is before.encoder
    assert watched.watch.snapshot.query_cache is before.query_cache
    assert (watched.watch.swaps, watched.watch.refused) == (1, None)


def test_who_holds_the_old_pair_keeps_getting_its_answers(store, watched) -> None:
    held = watched.watch.snapshot
    expected = score(held, "oak desk", "B003")

    store.switch(store.copy("copy"))
    watched.look()
    shutil.rmtree(store.paths.generation(held.items.generation_id))

    assert watched.watch.snapshot is not held
    assert score(held, "oak desk", "B003") == expected


def test_a_new_bundle_comes_with_graphs_and_cache_of_its_own(store, watched, tmp_path) -> None:
    before = watched.watch.snapshot
    make_bundle(tmp_path / "other", seed=7)
    catalogue = write_catalogue(tmp_path / "items.jsonl", CATALOGUE[:8])
    refresh(bundle=tmp_path / "other", items=catalogue, store=store.root)

    watched.look()

    after = watched.watch.snapshot
    assert after.bundle.bundle_id != before.bundle.bundle_id
    assert after.encoder is not before.encoder
    assert after.query_cache is not before.query_cache
    assert score(after, "oak desk", "B003") != score(before, "oak desk", "B003")


def test_nothing_is_swapped_where_nothing_changed(watched) -> None:
    for _ in range(3):
        watched.look()

    assert watched.answers == []
    assert watched.watch.swaps == 0


def test_how_long_a_change_lay_on_disk_before_it_could_be_scored_is_told(store, watched) -> None:
    held = watched.watch.snapshot
    watched.look()
    gone = Changes.of([], held.codec.encode([]), [], removed=["B001"])
    append_changes(store.paths, gone, bundle_id=held.bundle.bundle_id)
    deltas = store.paths.deltas(held.items.generation_id)
    long_ago = time.time() - 1000
    for file in deltas.iterdir():
        os.utime(file, (long_ago, long_ago))

    eventually(lambda: watched.look() or watched.watch.snapshot.items.sequence > 0)

    [lag] = watched.watch.delta_lags
    assert lag == pytest.approx(1000, abs=300)  # a machine may stand still for a while
    watched.look()
    assert len(watched.watch.delta_lags) == 1


def test_changes_appended_to_the_generation_are_followed_and_old_holders_do_not_see_them(
    store, watched
) -> None:
    held = watched.watch.snapshot
    new, text = Item("new-1", "Oak desk"), "Oak desk"
    changes = Changes.of([new], held.codec.encode([text]), [text], removed=["B001"])

    sequence = append_changes(store.paths, changes, bundle_id=held.bundle.bundle_id)
    watched.look()  # the first look opens CURRENT anew, the next ones see what was appended
    append_changes(
        store.paths,
        Changes.of([], held.codec.encode([]), [], removed=["B002"]),
        bundle_id=held.bundle.bundle_id,
    )
    eventually(lambda: watched.look() or watched.watch.snapshot.items.sequence > sequence)

    now = watched.watch.snapshot
    assert (now.items.rows_of(["B001", "B002"]) < 0).all()
    assert score(now, "oak desk", "new-1") == score(now, "oak desk", "B003")
    assert item_count(now.items) == item_count(held.items) - 1
    assert held.items.sequence == 0
    assert (held.items.rows_of(["B001", "B002"]) >= 0).all()
    assert watched.answers[-1] is now
    assert now.query_cache is held.query_cache


def _unknown_generation(store: Store) -> None:
    store.switch("20000101-nowhere")


def _no_json(store: Store) -> None:
    store.paths.current.write_text("{")


def _absent(store: Store) -> None:
    store.paths.current.unlink()


def _another_bundles_generation(store: Store) -> None:
    other = make_bundle(store.root.parent / "other", seed=3)
    shutil.copytree(store.root.parent / "other", store.paths.bundle(other.bundle_id))
    generation = read_current(store.paths).generation
    switch_current(store.paths, Current(generation=generation, bundle=other.bundle_id))


def _truncated_arena(store: Store) -> None:
    made = store.switch(store.copy("cut"))
    (store.paths.generation(made) / EMBEDDINGS).write_bytes(b"\x80" * 16)


@pytest.mark.parametrize(
    "damage",
    [_unknown_generation, _no_json, _absent, _another_bundles_generation, _truncated_arena],
)
def test_what_cannot_be_served_is_refused_and_the_old_pair_stays(store, watched, damage) -> None:
    before, current = watched.generation, store.paths.current.read_bytes()
    damage(store)

    watched.look()

    assert watched.generation == before
    assert watched.watch.refused is not None
    assert watched.answers[-1].degraded == (STAYED,)
    assert score(watched.answers[-1], "oak desk", "B003") > 0
    assert watched.watch.refusals == 1

    store.paths.current.write_bytes(current)
    watched.look()
    assert (watched.generation, watched.watch.refused) == (before, None)
    assert watched.answers[-1].degraded == ()


def test_a_refused_pair_is_not_tried_again_every_round_but_when_nudged(store, watched) -> None:
    before = watched.generation
    late = store.copy("late")
    store.paths.generation(late).rename(store.root / "aside")
    store.switch(late)
    for _ in range(3):
        watched.look()
    assert watched.watch.refusals == 1

    (store.root / "aside").rename(store.paths.generation(late))
    watched.look()
    assert watched.generation == before

    number = watched.run.nudge()
    watched.look()

    assert watched.generation == late
    assert watched.watch.nudge == number


def test_a_worker_waits_for_the_others_and_not_for_ever(tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    run.make()
    other = os.getppid()

    def said(generation: str, *, prepared: str = "", refused: str | None = None) -> None:
        run.write(
            WorkerState(
                process_id=other,
                phase=Phase.READY,
                ready=True,
                bundle="b",
                generation=generation,
                sequence=0,
                prepared=prepared,
                refused=refused,
                seen=time.time(),
            )
        )

    def waits_on(*, patience: float = 3600.0, within: float = 180.0) -> None:
        wait = wait_for_others(run, "b/g2/0", patience=patience)
        asyncio.run(asyncio.wait_for(wait, timeout=within))

    said("g1")
    with pytest.raises(TimeoutError):
        waits_on(within=0.2)
    waits_on(patience=0.01)
    for ready in ({"generation": "g1", "prepared": "b/g2/0"}, {"generation": "g2"}):
        said(**ready)
        waits_on()
    said("g1", refused="broken")
    waits_on()


def test_a_scorer_that_errs_on_real_rows_is_not_served(store) -> None:
    class Wrong:
        def __init__(self, scorer) -> None:
            self._scorer = scorer

        def score(self, query, arena, positions):
            right = self._scorer.score(query, arena, positions)
            return type(right)(logits=right.logits, maxima=np.roll(right.maxima, 1, axis=0))

    def opened(settings, *, previous=None):
        pair = open_pair(settings, previous=previous)
        return replace(pair, snapshot=replace(pair.snapshot, scorer=Wrong(pair.snapshot.scorer)))

    with pytest.raises(BadBundle, match="otherwise than the definition"):
        prepare(store.settings, opened)
