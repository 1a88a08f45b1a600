"""Keeping generations: verified once per machine, scrubbed, set aside, returned to, removed."""

import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from relevance.bundle import read_bundle
from relevance.domain import Item
from relevance.errors import BadGeneration, BadInput, GateRefused
from relevance.generation import (
    EMBEDDINGS,
    ID_HASHES,
    PARTS,
    TOKEN_COUNTS,
    StorePaths,
    read_current,
    read_manifest,
)
from relevance.records import Pair
from service.refresh.compact import compact, is_due
from service.refresh.compare import PairScorer, compare
from service.refresh.plan import Extent, Options
from service.refresh.refresh import refresh
from service.refresh.rollout import Limits, roll_out
from service.store.chunks import HashedFile, hash_file, read_chunks, sample
from service.store.commands import app
from service.store.delta_log import append_changes, segment_files
from service.store.difference import compare_generations
from service.store.generation_reader import open_generation
from service.store.publish import writing
from service.store.region import ALIGNMENT
from service.store.retention import collect_garbage, held_generations, quarantine, roll_back
from service.store.scrub import scrub, scrub_current
from service.store.transfer import export_generation, import_generation
from service.store.verified import check_once
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle
from tests.service.test_store_deltas import make_changes

FIXTURE = Path(__file__).parent / "fixtures"
ALL = Options(extent=Extent.ALL)


@pytest.fixture
def store(store_folder, tmp_path) -> StorePaths:
    shutil.copytree(store_folder, tmp_path / "store")
    return StorePaths(tmp_path / "store")


@pytest.fixture
def two(store, bundle_folder, catalogue_file) -> tuple[StorePaths, str, str]:
    """A store with two generations of the same items, the second current."""
    first = read_current(store).generation
    refresh(bundle=bundle_folder, items=catalogue_file, store=store.root, options=ALL)
    return store, first, read_current(store).generation


def read(store: StorePaths, generation_id: str | None = None):
    current = generation_id or read_current(store).generation
    folder = store.generation(current)
    return open_generation(folder, read_bundle(store.bundle(read_manifest(folder).bundle_id)))


def damage(path: Path, *, at: int = 0) -> None:
    """Flip a bit and leave size, inode and time of change as they were, as a bad disk does."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_files_are_checked_once_and_again_when_they_look_changed(tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    calls: list[int] = []

    def check() -> None:
        calls.append(1)

    assert check_once("g", [file], root=tmp_path, check=check)
    assert not check_once("g", [file], root=tmp_path, check=check)
    file.write_text("y")
    assert check_once("g", [file], root=tmp_path, check=check)
    assert len(calls) == 2


def test_a_failed_check_is_not_remembered(tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("x")

    def fail() -> None:
        raise BadGeneration("damaged")

    for _ in range(2):
        with pytest.raises(BadGeneration, match="damaged"):
            check_once("g", [file], root=tmp_path, check=fail)


def test_a_store_that_cannot_be_written_to_is_remembered_elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("tempfile.tempdir", None)
    file = tmp_path / "store" / "file"
    file.parent.mkdir()
    file.write_text("x")
    (tmp_path / "store" / "verified").write_text("a file where the folder should be")

    assert check_once("g", [file], root=tmp_path / "store", check=lambda: None)
    assert not check_once("g", [file], root=tmp_path / "store", check=lambda: None)


def test_a_hashed_file_has_the_digests_of_what_it_holds(tmp_path) -> None:
    random = np.random.default_rng(0)
    content = random.integers(0, 256, 3_500_000, np.uint8).tobytes()
    path = tmp_path / "file"
    with HashedFile(path) as file:
        for start in range(0, 2_100_000, 700_000):
            file.write(content[start : start + 700_000])
    with HashedFile(path, kept=2_000_000) as again:
        again.write(content[2_000_000:])
        assert again.digests == hash_file(path)[:1] + again.digests[1:]

    assert path.read_bytes() == content
    assert again.digests == hash_file(path)
    with pytest.raises(BadGeneration, match="expected 4000000 bytes, got 3500000"):
        HashedFile(path, kept=4_000_000)


def test_chunks_name_every_byte_of_every_part_once(store) -> None:
    folder = store.generation(read_current(store).generation)
    manifest = read_manifest(folder)

    chunks = read_chunks(folder, manifest)

    covered = dict.fromkeys(PARTS, 0)
    for chunk in chunks:
        assert chunk.offset == covered[chunk.path.name]
        covered[chunk.path.name] += chunk.length
    assert covered == manifest.sizes
    assert {chunks[0], chunks[-1]} <= set(sample(chunks, count=1))


def test_scrubbing_finds_what_opening_no_longer_looks_for(two) -> None:
    """Size, inode and time are as they were, so that only reading tells."""
    store, _, current = two
    assert scrub(store, current).damage is None
    damage(store.generation(current) / TOKEN_COUNTS, at=3)

    found = scrub(store, current)

    assert found.damage is not None
    assert TOKEN_COUNTS in found.damage


def test_scrubbing_keeps_to_its_rate(two) -> None:
    store, _, current = two
    waits: list[float] = []

    found = scrub(store, current, bytes_per_second=1000, wait=waits.append)

    assert sum(waits) == pytest.approx(found.bytes / 1000)
    assert found.bytes == sum(read_manifest(store.generation(current)).sizes.values())


def test_a_damaged_generation_is_set_aside_and_the_one_before_answers(two, caplog) -> None:
    store, first, current = two
    damage(store.generation(current) / EMBEDDINGS, at=100)

    found = scrub_current(store, wait=lambda seconds: None)

    assert found.damage is not None
    assert read_current(store).generation == first
    assert not store.generation(current).exists()
    assert (store.quarantine(current) / EMBEDDINGS).is_file()
    assert f"returned to generation {first}" in caplog.text
    assert read(store).live_rows().size == len(CATALOGUE)


def test_a_damaged_delta_counts_as_damage(two, bundle) -> None:
    store, _, current = two
    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    damage(segment_files(store.deltas(current))[0].path, at=ALIGNMENT + 3)

    assert scrub(store, current).damage is not None


def test_the_only_generation_is_not_set_aside(store) -> None:
    current = read_current(store).generation

    with pytest.raises(BadGeneration, match="expected a sound generation before"):
        quarantine(store, current)

    assert read_current(store).generation == current
    assert read(store).generation_id == current


def test_rolling_back_passes_over_a_damaged_generation(two, bundle_folder, catalogue_file) -> None:
    store, first, second = two
    refresh(bundle=bundle_folder, items=catalogue_file, store=store.root, options=ALL)
    (store.generation(second) / ID_HASHES).write_bytes(b"short")

    assert roll_back(store).generation == first
    with pytest.raises(BadGeneration, match="expected a sound generation before"):
        roll_back(store)
    with pytest.raises(BadInput, match="expected a generation it holds, got `none`"):
        roll_back(store, to="none")


def test_garbage_collection_keeps_the_current_one_and_as_many_as_asked(
    two, bundle_folder, bundle, catalogue_file, tmp_path
) -> None:
    store, first, second = two
    other = make_bundle(tmp_path / "other", seed=3)
    roll_out(bundle=tmp_path / "other", store=store.root)
    third = read_current(store).generation
    roll_back(store, to=second)
    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    reader = read(store, first)
    (store.root / "faiss" / first).mkdir(parents=True)

    with writing(store):
        assert collect_garbage(store, keep=1) == [first]
        assert collect_garbage(store, keep=0) == [third]

    assert [held.manifest.generation_id for held in held_generations(store)] == [second]
    assert not (store.root / "faiss" / first).exists()
    assert not store.bundle(other.bundle_id).exists()
    assert store.deltas(second).exists()
    assert reader.item(0).item_id == "B001"


def test_a_generation_travels_with_its_deltas_and_bundle(store, bundle, tmp_path) -> None:
    append_changes(
        store, make_changes(bundle, [Item("x", "oak")], ["B001"]), bundle_id=bundle.bundle_id
    )
    current = read_current(store).generation
    export_generation(store, current, tmp_path / "g.tar")
    other = StorePaths(tmp_path / "other")

    shown = CliRunner().invoke(
        app, ["import", str(tmp_path / "g.tar"), "--store", str(other.root), "--publish"]
    )

    assert shown.exit_code == 0, shown.output
    assert read_current(other) == read_current(store)
    found = compare_generations(read(store), read(other))
    assert (found.added, found.removed, found.changed_rows) == (0, 0, 0)
    assert read(other).sequence == 2
    with writing(other), pytest.raises(BadInput, match=f"has a generation {current} already"):
        import_generation(other, tmp_path / "g.tar")


def test_an_archive_with_a_flipped_bit_or_a_foreign_name_is_not_taken_in(store, tmp_path) -> None:
    current = read_current(store).generation
    damage(store.generation(current) / EMBEDDINGS, at=9)
    export_generation(store, current, tmp_path / "bad.tar")
    with tarfile.open(tmp_path / "foreign.tar", "w") as archive:
        archive.add(store.current, "generation/../../CURRENT")
    (tmp_path / "none.tar").write_bytes(b"no archive")
    other = StorePaths(tmp_path / "other")

    for name, fault, message in (
        ("bad", BadGeneration, EMBEDDINGS),
        ("foreign", BadInput, "expected no `generation/../../CURRENT`"),
        ("none", BadInput, "expected an archive of `ellm store export`"),
    ):
        with writing(other), pytest.raises(fault, match=message):
            import_generation(other, tmp_path / f"{name}.tar")
    assert not list(other.generations.glob("*"))


def test_generations_are_compared_by_content(two, bundle_folder, tmp_path) -> None:
    store, first, _ = two
    items = [
        Item("B001", "Other"),
        Item("B002", CATALOGUE[1].title, brand="x"),
        Item("n", "Lamp"),
        *CATALOGUE[3:],
    ]
    file = write_catalogue(tmp_path / "items.jsonl", items)
    refresh(bundle=bundle_folder, items=file, store=store.root)

    found = compare_generations(read(store, first), read(store))

    assert (found.added, found.removed, found.changed_rows) == (1, 1, 0)
    assert found.changed_text + found.changed_fields == 2
    assert (found.examples["added"], found.examples["removed"]) == (("n",), ("B003",))


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


def test_the_commands_say_what_a_store_holds(two, tmp_path) -> None:
    store, first, current = two

    def run(*words: str) -> str:
        shown = CliRunner().invoke(app, [*words, "--store", str(store.root)])
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    assert [line[:1] for line in run("list").splitlines()] == ["*", " "]
    assert f"items       {len(CATALOGUE)} " in run("inspect")
    assert f"{current}: sound" in run("verify")
    assert "added           0" in run("diff", first)
    assert "bytes" in run("export", "--out", str(tmp_path / "g.tar"))
    assert first in run("rollback")
    assert f"removed 1: {current}" in run("gc", "--keep", "0")
    damage(store.generation(first) / EMBEDDINGS)
    shown = CliRunner().invoke(app, ["verify", "--store", str(store.root)])
    assert isinstance(shown.exception, BadGeneration)


def test_a_folder_without_generations_is_told_apart_from_silence(tmp_path) -> None:
    shown = CliRunner().invoke(app, ["list", "--store", str(tmp_path)])

    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr.startswith(f"{tmp_path}: no generation yet")


def test_format_1_is_still_read(tmp_path) -> None:
    """A store of format 1 answers, takes deltas and is refreshed to format 2."""
    shutil.copytree(FIXTURE / "generation-1", tmp_path / "store")
    store = StorePaths(tmp_path / "store")
    reader = read(store)
    assert reader.manifest.format == "relevance-generation/1"
    bundle = read_bundle(store.bundle(read_current(store).bundle))
    assert reader.items(range(6)) == [*CATALOGUE[:5], Item("Ω-6", "Water bottle 24oz")]
    assert reader.rows_of(["B003", "Ω-6", "x"]).tolist() == [2, 5, -1]

    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    assert reader.latest().rows_of(["x"])[0] > 5
    damage(store.generation(reader.generation_id) / EMBEDDINGS)

    found = scrub(store, reader.generation_id)
    assert found.damage is not None
    assert "SHA-256" in found.damage


def test_format_2_is_read_with_its_deltas(tmp_path) -> None:
    shutil.copytree(FIXTURE / "generation-2", tmp_path / "store")
    store = StorePaths(tmp_path / "store")

    reader = read(store)

    assert reader.manifest.format == "relevance-generation/2"
    assert reader.sequence == 2
    assert reader.rows_of(["B001", "B003"]).tolist() == [-1, 2]
    new = int(reader.rows_of(["new"])[0])
    assert reader.item(new) == Item("new", "Oak lamp")
    assert (reader.token_counts[new], reader.token_counts[4]) == (2, 0)
    assert scrub(store, reader.generation_id).damage is None
    bundle = store.bundle(read_current(store).bundle)
    items = write_catalogue(tmp_path / "i.jsonl", [*CATALOGUE[1:6], Item("new", "Oak lamp")])
    report = refresh(bundle=bundle, items=items, store=store.root, options=Options(delta_share=9))
    assert report.plan.differences.changes == 0
