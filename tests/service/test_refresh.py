"""A refresh: the same bytes whatever happens on the way, and only what changed is encoded."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.errors import BadGeneration, BadInput, Unavailable
from relevance.generation import EMBEDDINGS, PARTS, StorePaths, read_current
from relevance.records import read_catalogue
from service.fakes import WordEncoder
from service.item_codec import ItemCodec
from service.refresh import rows as rows_module
from service.refresh.commands import app
from service.refresh.encode import Pace, open_codec, open_pool
from service.refresh.plan import Extent, Options, Outcome
from service.refresh.refresh import plan_refresh, refresh
from service.refresh.verify import verify
from service.store.delta_log import append_changes
from service.store.generation_reader import GenerationReader, open_generation
from service.store.publish import writing
from service.store.segment import Changes
from tests.service.conftest import CATALOGUE, FEW, write_catalogue

ALL = Options(extent=Extent.ALL)


def parts_of(store: Path) -> dict[str, bytes]:
    paths = StorePaths(store)
    folder = paths.generation(read_current(paths).generation)
    return {name: (folder / name).read_bytes() for name in PARTS}


def read(store: Path, bundle) -> GenerationReader:
    paths = StorePaths(store)
    return open_generation(paths.generation(read_current(paths).generation), bundle)


def shown(reader: GenerationReader) -> dict[str, tuple[Item, bytes, int, int]]:
    rows = reader.live_rows().tolist()
    return {
        item.item_id: (
            item,
            reader.arena[row].tobytes(),
            int(reader.token_counts[row]),
            int(reader.truncated[row]),
        )
        for row, item in zip(rows, reader.items(rows), strict=True)
    }


@pytest.fixture
def own_store(store_folder, tmp_path) -> Path:
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


def test_a_refresh_writes_the_same_bytes_whatever_the_number_of_processes(
    store_folder, bundle_folder, catalogue_file, tmp_path
) -> None:
    report = refresh(bundle=bundle_folder, items=catalogue_file, store=tmp_path, workers=2)

    assert parts_of(tmp_path) == parts_of(store_folder)
    assert report.written == report.encoded == len(CATALOGUE)
    assert report.no_text == 1
    assert report.cut >= 1
    assert report.bytes == len(parts_of(tmp_path)[EMBEDDINGS])


def test_every_item_lies_where_the_catalogue_has_it(store_folder, bundle, catalogue_file) -> None:
    catalogue = read_catalogue(catalogue_file)

    reader = read(store_folder, bundle)

    assert tuple(reader.items(range(len(catalogue)))) == catalogue


def test_an_item_without_text_has_no_tokens_and_rows_of_the_zero_point(
    store_folder, bundle
) -> None:
    reader = read(store_folder, bundle)
    row = int(reader.rows_of(["B005"])[0])

    assert reader.token_counts[row] == 0
    assert np.all(reader.arena[row] == 128)


def test_an_unchanged_catalogue_encodes_and_writes_nothing(
    own_store, bundle_folder, catalogue_file
) -> None:
    before = sorted(own_store.rglob("*"))

    report = refresh(bundle=bundle_folder, items=catalogue_file, store=own_store)

    assert report.plan.outcome is Outcome.NOTHING
    assert report.encoded == report.written == 0
    assert report.generation_id == read_current(StorePaths(own_store)).generation
    assert [p for p in sorted(own_store.rglob("*")) if p.name not in ("LOCK", "work")] == [
        p for p in before if p.name not in ("LOCK", "work")
    ]


def test_a_full_refresh_keeps_the_old_generation_beside_the_new(
    own_store, bundle_folder, catalogue_file
) -> None:
    before = read_current(StorePaths(own_store))

    report = refresh(bundle=bundle_folder, items=catalogue_file, store=own_store, options=ALL)

    paths = StorePaths(own_store)
    assert read_current(paths).generation == report.generation_id != before.generation
    assert paths.generation(before.generation).is_dir()
    assert report.encoded == len(CATALOGUE)


SOME = CATALOGUE[:12]
EDITS = st.lists(
    st.tuples(
        st.integers(0, len(SOME) + 3),
        st.sampled_from(["title", "description", "remove", "same"]),
        st.sampled_from(["oak", "red lamp", ""]),
    ),
    max_size=8,
)


def edited(items: list[Item], edits) -> list[Item]:
    by_id = {item.item_id: item for item in items}
    for at, what, text in edits:
        item_id = SOME[at].item_id if at < len(SOME) else f"new-{at}"
        if what == "remove":
            by_id.pop(item_id, None)
        elif what != "same":
            by_id[item_id] = replace(by_id.get(item_id, Item(item_id, "Lamp")), **{what: text})
    return list(by_id.values()) or [Item("last", "Lamp")]


@settings(FEW, max_examples=5)
@given(rounds=st.lists(EDITS, min_size=1, max_size=3), share=st.sampled_from([0.0, 0.3, 9.0]))
def test_incremental_refreshes_show_what_a_full_one_shows_and_encode_only_new_texts(
    bundle, bundle_folder, tmp_path_factory, rounds, share
) -> None:
    """As deltas, as new generations or mixed: the same items and the same bytes."""
    folder = tmp_path_factory.mktemp("edits")
    items = list(SOME)
    options = Options(delta_share=share)
    file = write_catalogue(folder / "0.jsonl", items)
    refresh(bundle=bundle_folder, items=file, store=folder / "store")
    for number, edits in enumerate(rounds, start=1):
        before = {item.item_id: (item.title, item.brand, item.color) for item in items}
        items = edited(items, edits)
        file = write_catalogue(folder / f"{number}.jsonl", items)
        report = refresh(bundle=bundle_folder, items=file, store=folder / "store", options=options)
        texts = {item.item_id: (item.title, item.brand, item.color) for item in items}
        assert report.encoded == sum(before.get(i) != text for i, text in texts.items())
        assert len(report.plan.differences.removed) == len(before.keys() - texts.keys())

    refresh(bundle=bundle_folder, items=file, store=folder / "fresh")

    assert shown(read(folder / "store", bundle)) == shown(read(folder / "fresh", bundle))


def test_few_changes_become_a_delta_and_many_a_generation(
    own_store, bundle_folder, bundle, tmp_path
) -> None:
    before = read_current(StorePaths(own_store))
    few = write_catalogue(tmp_path / "few.jsonl", [*CATALOGUE[1:], Item("new", "Oak lamp")])
    many = write_catalogue(tmp_path / "many.jsonl", CATALOGUE[: len(CATALOGUE) // 2])

    report = refresh(bundle=bundle_folder, items=few, store=own_store)

    assert report.plan.outcome is Outcome.DELTA
    assert (report.written, report.encoded, report.sequence) == (1, 1, 2)
    assert read_current(StorePaths(own_store)) == before
    assert set(shown(read(own_store, bundle))) == {i.item_id for i in CATALOGUE[1:]} | {"new"}

    report = refresh(bundle=bundle_folder, items=many, store=own_store)

    assert report.plan.outcome is Outcome.GENERATION
    assert report.encoded == 1  # the first item came back; its text went with it
    assert read_current(StorePaths(own_store)) != before


def test_a_compaction_encodes_nothing_and_leaves_no_deltas(
    own_store, bundle_folder, bundle, tmp_path
) -> None:
    items = write_catalogue(tmp_path / "few.jsonl", [*CATALOGUE[1:], Item("new", "Oak lamp")])
    refresh(bundle=bundle_folder, items=items, store=own_store)
    before = shown(read(own_store, bundle))

    options = Options(extent=Extent.COMPACT)
    report = refresh(bundle=bundle_folder, items=items, store=own_store, options=options)

    assert (report.encoded, report.written, report.sequence) == (0, len(CATALOGUE), 0)
    assert shown(read(own_store, bundle)) == before


def test_changes_that_come_while_a_refresh_runs_are_newer_and_stay(
    own_store, bundle_folder, bundle, tmp_path
) -> None:
    codec = open_codec(bundle_folder, bundle)

    def changing_meanwhile(groups, items):
        late = [Item("B001", "Late steel"), Item("late", "Late lamp")]
        texts = [codec.text(item) for item in late]
        changes = Changes.of(late, codec.encode(texts), texts, ["B002"])
        append_changes(StorePaths(own_store), changes, bundle_id=bundle.bundle_id)
        yield from groups

    edited_items = [replace(item, title=f"{item.title} oak") for item in CATALOGUE[:3]]
    few = write_catalogue(tmp_path / "few.jsonl", [*edited_items, *CATALOGUE[3:]])
    for options in (Options(), ALL):
        refresh(
            bundle=bundle_folder,
            items=few,
            store=own_store,
            options=options,
            progress=changing_meanwhile,
        )

        now = {
            item_id: item.title for item_id, (item, *_) in shown(read(own_store, bundle)).items()
        }
        assert (now["B001"], now["late"], now["B003"]) == (
            "Late steel",
            "Late lamp",
            "Oak desk oak",
        )
        assert "B002" not in now


def stop_after(count):
    def progress(groups, items):
        for at, group in enumerate(groups):
            if at == count:
                raise KeyboardInterrupt
            yield group

    return progress


def test_a_run_that_was_stopped_is_gone_on_with_and_gives_the_same_bytes(
    bundle_folder, bundle, tmp_path, monkeypatch
) -> None:
    """What was noted is not encoded again; the note is younger than the rows it counts."""
    monkeypatch.setattr(rows_module, "ITEMS_PER_GROUP", 50)
    monkeypatch.setattr(rows_module, "SECONDS_BETWEEN_NOTES", 0.0)
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE)
    with pytest.raises(KeyboardInterrupt):
        refresh(bundle=bundle_folder, items=items, store=tmp_path / "a", progress=stop_after(2))

    report = refresh(bundle=bundle_folder, items=items, store=tmp_path / "a")
    refresh(bundle=bundle_folder, items=items, store=tmp_path / "b")

    assert (report.resumed, report.encoded) == (100, len(CATALOGUE) - 100)
    assert parts_of(tmp_path / "a") == parts_of(tmp_path / "b")
    assert list((tmp_path / "a" / "work").iterdir()) == []


def test_a_stopped_run_is_not_gone_on_with_for_another_catalogue(
    bundle_folder, bundle, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(rows_module, "ITEMS_PER_GROUP", 50)
    monkeypatch.setattr(rows_module, "SECONDS_BETWEEN_NOTES", 0.0)
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE)
    with pytest.raises(KeyboardInterrupt):
        refresh(bundle=bundle_folder, items=items, store=tmp_path / "a", progress=stop_after(2))
    items = write_catalogue(tmp_path / "items.jsonl", [Item("B001", "Other"), *CATALOGUE[1:]])

    report = refresh(bundle=bundle_folder, items=items, store=tmp_path / "a")

    assert (report.resumed, report.encoded) == (0, len(CATALOGUE))


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut_short, flip_a_bit, Path.unlink])
def test_a_damaged_generation_is_not_read_from_and_the_next_run_makes_a_sound_one(
    own_store, store_folder, bundle_folder, bundle, catalogue_file, harm
) -> None:
    paths = StorePaths(own_store)
    harm(paths.generation(read_current(paths).generation) / EMBEDDINGS)
    with pytest.raises(BadGeneration, match=EMBEDDINGS):
        read(own_store, bundle)

    report = refresh(bundle=bundle_folder, items=catalogue_file, store=own_store)

    assert report.damage is not None
    assert EMBEDDINGS in report.damage
    assert report.encoded == len(CATALOGUE)
    assert shown(read(own_store, bundle)) == shown(read(store_folder, bundle))


def failing_after_one(groups, items):
    yield next(iter(groups))
    raise BadInput("a wrong row")


def flipping_a_bit(groups, items):
    for group in groups:
        encoded = replace(group.encoded, embeddings=group.encoded.embeddings ^ 1)
        yield replace(group, encoded=encoded)


@pytest.mark.parametrize("options", [ALL, Options()])
@pytest.mark.parametrize(
    ("progress", "fault", "message"),
    [
        (failing_after_one, BadInput, "a wrong row"),
        (flipping_a_bit, BadGeneration, "expected the bytes of encoding it again"),
    ],
)
def test_a_failure_leaves_what_is_current_and_the_next_run_completes(
    own_store, bundle_folder, bundle, tmp_path, progress, fault, message, options
) -> None:
    before = StorePaths(own_store).current.read_bytes()
    showed = shown(read(own_store, bundle))
    folders = sorted((own_store / "generations").iterdir())
    changed = [Item("B001", "Other"), *CATALOGUE[1:]]
    items = write_catalogue(tmp_path / "items.jsonl", changed)

    with pytest.raises(fault, match=message):
        refresh(
            bundle=bundle_folder,
            items=items,
            store=own_store,
            options=options,
            progress=progress,
        )

    assert StorePaths(own_store).current.read_bytes() == before
    assert sorted((own_store / "generations").iterdir()) == folders
    assert shown(read(own_store, bundle)) == showed
    refresh(bundle=bundle_folder, items=items, store=own_store, options=options)
    assert shown(read(own_store, bundle))["B001"][0].title == "Other"


def test_an_encoding_process_that_dies_is_told_and_not_waited_for(bundle_folder, bundle) -> None:
    with open_pool(bundle_folder, bundle, workers=2) as pool:
        pool.submit(["oak"])()
        for process in multiprocessing.active_children():
            process.kill()
        with pytest.raises(Unavailable, match="an encoding process died"):
            pool.submit(["oak"])()


def full_disk(groups, items):
    yield next(iter(groups))
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_unavailable(bundle_folder, catalogue_file, tmp_path) -> None:
    with pytest.raises(Unavailable, match="cannot be written: .* No space left on device"):
        refresh(bundle=bundle_folder, items=catalogue_file, store=tmp_path, progress=full_disk)


def test_a_refresh_is_refused_while_another_writes(
    own_store, bundle_folder, catalogue_file
) -> None:
    with (
        writing(StorePaths(own_store)),
        pytest.raises(Unavailable, match="another writer holds this store"),
    ):
        refresh(bundle=bundle_folder, items=catalogue_file, store=own_store)


def test_verifying_finds_a_generation_that_another_encoder_made(
    store_folder, bundle_folder, bundle
) -> None:
    reader = read(store_folder, bundle)

    verify(reader, open_codec(bundle_folder, bundle))

    with pytest.raises(BadGeneration, match="item `B001` in row 0: expected the bytes"):
        verify(reader, ItemCodec(WordEncoder(bundle.dim), bundle))


def test_a_plan_says_what_would_be_done_and_writes_nothing(
    own_store, bundle_folder, tmp_path
) -> None:
    changed = [
        replace(CATALOGUE[0], title="Other"),
        replace(CATALOGUE[1], description="Other"),
        *CATALOGUE[3:],
        Item("new", "Lamp"),
    ]
    items = write_catalogue(tmp_path / "items.jsonl", changed)
    before = sorted(own_store.rglob("*"))

    plan = plan_refresh(bundle=bundle_folder, items=items, store=own_store)

    found = plan.differences
    assert (found.added, found.changed_text, found.changed_fields) == (1, 1, 1)
    assert found.removed == (CATALOGUE[2].item_id,)
    assert (found.encodings, found.changes) == (2, 4)
    assert plan.outcome is Outcome.DELTA
    assert sorted(own_store.rglob("*")) == before


def test_the_pace_never_exceeds_its_rate_and_saves_up_nothing() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(10, clock=lambda: now[0], sleep=sleep)
    for _ in range(5):
        pace.take(20)
    assert now[0] == pytest.approx(8.0)
    now[0] = 100.0
    pace.take(20)
    pace.take(20)
    assert now[0] == pytest.approx(102.0)


def test_the_command_prints_what_it_did(bundle_folder, tmp_path) -> None:
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE[:5])
    options = ["--bundle", bundle_folder, "--items", items, "--store", tmp_path / "store"]
    words = [*map(str, options), "--workers", "1"]

    planned = CliRunner().invoke(app, [*words, "--dry-run"])
    done = CliRunner().invoke(app, words)
    again = CliRunner().invoke(app, words)

    lines = [
        dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
        for shown in (planned, done, again)
    ]
    assert [line["outcome"] for line in lines] == ["generation", "generation", "nothing"]
    assert lines[1]["items"] == "5 (live: none)"
    assert lines[1]["generation"] == read_current(StorePaths(tmp_path / "store")).generation


def test_the_command_reads_standard_input(bundle_folder, tmp_path) -> None:
    content = "".join(
        json.dumps({"item_id": f"i{at}", "title": "Oak lamp"}) + "\n" for at in range(3)
    )
    options = ["--bundle", bundle_folder, "--items", "-", "--store", tmp_path / "store"]

    shown = CliRunner().invoke(
        app, [*map(str, options), "--workers", "1", "--format", "jsonl"], input=content
    )

    assert shown.exit_code == 0, shown.output
    assert "written     3 " in shown.stdout


@pytest.mark.slow
def test_two_workers_of_a_ray_cluster_write_the_same_bytes(
    store_folder, bundle_folder, catalogue_file, tmp_path
) -> None:
    """In a process of its own: Ray's threads and warnings are not this suite's."""
    words = ["--bundle", bundle_folder, "--items", catalogue_file, "--store", tmp_path / "store"]

    run = subprocess.run(
        [sys.executable, "-m", "relevance", "refresh", *map(str, words), "--ray", "local"]
        + ["--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert parts_of(tmp_path / "store") == parts_of(store_folder)
