"""Deltas over a base: what a snapshot shows, what never changes under it, and what is refused."""

import mmap
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import BadGeneration
from relevance.generation import StorePaths, read_current
from service.fakes import WordEncoder
from service.item_codec import ItemCodec
from service.scorer import open_scorer
from service.store import delta_log
from service.store.delta_log import append_changes, appending, merge_newest, segment_files
from service.store.generation_reader import open_generation
from service.store.publish import place_bundle, publish, writing
from service.store.region import ALIGNMENT, Region
from service.store.segment import Changes, read_segment
from tests.service.test_store import poor_hash, write_generation

IDS = [f"i{at}" for at in range(12)]
# An id's length decides poor_hash's bucket, so that collisions are met on every path.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([*IDS, "", "long id"]), st.none() | st.sampled_from(["oak", "red", ""])
    ),
    max_size=6,
    unique_by=lambda event: event[0],
)


def codec_of(bundle: BundleManifest) -> ItemCodec:
    return ItemCodec(WordEncoder(bundle.dim), bundle)


def make_changes(bundle: BundleManifest, items: Sequence[Item], removed: Sequence[str] = ()):
    codec = codec_of(bundle)
    texts = [codec.text(item) for item in items]
    return Changes.of(items, codec.encode(texts), texts, removed)


@pytest.fixture
def store(bundle, bundle_folder, tmp_path) -> StorePaths:
    paths = StorePaths(tmp_path / "store")
    with writing(paths):
        place_bundle(paths, bundle_folder)
        write_generation(paths.generation("g"), bundle, [Item(i, f"Lamp {i}") for i in IDS[:8]])
        publish(paths, "g")
    return paths


def read(store: StorePaths, bundle: BundleManifest):
    return open_generation(store.generation(read_current(store).generation), bundle)


def shown(reader) -> dict[str, tuple[str, bytes, int, int]]:
    rows = reader.live_rows()
    return {
        item_id: (
            item.title,
            reader.arena[row].tobytes(),
            int(reader.token_counts[row]),
            int(reader.truncated[row]),
        )
        for row, item_id, item in zip(
            rows.tolist(), reader.item_ids(rows), reader.items(rows.tolist()), strict=True
        )
    }


def expected(
    bundle: BundleManifest, titles: dict[str, str]
) -> dict[str, tuple[str, bytes, int, int]]:
    codec = codec_of(bundle)
    made = {}
    for item_id, title in titles.items():
        encoded = codec.encode([codec.text(Item(item_id, title))])
        made[item_id] = (
            title,
            encoded.embeddings[0].tobytes(),
            int(encoded.token_counts[0]),
            int(encoded.truncated[0]),
        )
    return made


@settings(deadline=None, max_examples=8)
@given(several=st.lists(EVENTS, max_size=8), seed=st.integers(0, 99), poor=st.booleans())
def test_snapshots_show_what_a_dict_shows_at_their_sequence_for_ever(
    bundle, bundle_folder, tmp_path_factory, several, seed, poor
) -> None:
    """Reopened or advanced, before and after merges; old snapshots keep showing what they did."""
    store = StorePaths(tmp_path_factory.mktemp("store"))
    oracle = {item_id: f"Lamp {item_id}" for item_id in IDS[:8]}
    options = {"hash_ids": poor_hash} if poor else {}
    with writing(store):
        place_bundle(store, bundle_folder)
        items = [Item(item_id, title) for item_id, title in oracle.items()]
        write_generation(store.generation("g"), bundle, items, **options)
        publish(store, "g")
    folder = store.generation("g")
    reader = open_generation(folder, bundle, **options)
    seen = [(reader, dict(oracle))]
    chance = random.Random(seed)

    for events in several:
        puts = [Item(item_id, title) for item_id, title in events if title is not None]
        removed = [item_id for item_id, title in events if title is None]
        sequence = append_changes(
            store, make_changes(bundle, puts, removed), bundle_id=bundle.bundle_id
        )
        oracle.update({item.item_id: item.title for item in puts})
        for item_id in removed:
            oracle.pop(item_id, None)
        if chance.random() < 0.4 and segment_files(store.deltas("g")):
            merge_newest(store.deltas("g"))
        reader = chance.choice((reader, seen[0][0])).latest()
        assert reader.sequence == sequence
        seen.append((reader, dict(oracle)))
    seen.append((open_generation(folder, bundle, **options), dict(oracle)))

    for snapshot, titles in seen:
        assert shown(snapshot) == expected(bundle, titles)
        assert snapshot.live_count() == len(titles)
        asked = [*IDS, "", "long id", "unknown"]
        assert (snapshot.rows_of(asked) >= 0).tolist() == [i in titles for i in asked]


def test_nothing_appended_costs_no_new_view(store, bundle) -> None:
    reader = read(store, bundle)

    assert reader.latest().arena is reader.arena
    assert reader.latest().sequence == 0


def test_the_base_does_not_change_by_a_byte(store, bundle) -> None:
    folder = store.generation("g")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    reader = read(store, bundle)

    append_changes(
        store, make_changes(bundle, [Item("new", "oak")], ["i0"]), bundle_id=bundle.bundle_id
    )
    reader = reader.latest()

    assert reader.token_counts[reader.rows_of(["new"])[0]] == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_graph_gathers_base_and_delta_rows_from_one_arena(store, bundle, bundle_folder) -> None:
    """Scores of delta rows equal those of the same bytes in an arena of their own."""
    from relevance.late_interaction import quantise_query

    append_changes(
        store, make_changes(bundle, [Item("new", "oak desk")]), bundle_id=bundle.bundle_id
    )
    reader = read(store, bundle)
    rows = reader.rows_of(["i3", "new", "i0"])
    scorer, _ = open_scorer(bundle_folder, bundle)
    query = quantise_query(WordEncoder(bundle.dim).encode("oak lamp", limit=8).vectors)

    together = scorer.score(query, reader.arena, rows)
    copied = scorer.score(query, np.ascontiguousarray(reader.arena[rows]), np.arange(3))

    assert np.array_equal(together.logits, copied.logits)


def test_small_segments_are_merged_and_readers_follow(store, bundle) -> None:
    reader = read(store, bundle)
    for at in range(delta_log.SEGMENTS_UNTIL_MERGE + 6):
        item = Item(f"new {at % 9}", f"Lamp {at}")
        append_changes(store, make_changes(bundle, [item]), bundle_id=bundle.bundle_id)
        if at % 20 == 0:
            reader = reader.latest()

    reader = reader.latest()

    assert len(list(store.deltas("g").iterdir())) < 10
    assert reader.sequence == delta_log.SEGMENTS_UNTIL_MERGE + 6
    assert shown(reader) == shown(read(store, bundle))
    assert len(reader.live_rows()) == 8 + 9


def test_changes_of_another_bundle_are_refused(store, bundle) -> None:
    with pytest.raises(BadGeneration, match=f"encoded by bundle {bundle.bundle_id}, got .* 0000"):
        append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id="0" * 16)


@pytest.mark.parametrize("place", [20, ALIGNMENT + 3, -20])
def test_a_flipped_bit_in_a_segment_is_found_and_the_snapshot_kept(store, bundle, place) -> None:
    reader = read(store, bundle)
    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)
    path = segment_files(store.deltas("g"))[0].path
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(BadGeneration, match=path.name):
        reader.latest()

    assert reader.sequence == 0
    assert len(shown(reader)) == 8


def test_a_segment_cut_short_or_missing_in_between_is_found(store, bundle) -> None:
    for at in range(3):
        changes = make_changes(bundle, [Item(f"x{at}", "oak")])
        append_changes(store, changes, bundle_id=bundle.bundle_id)
    first, second, _ = (file.path for file in segment_files(store.deltas("g")))
    content = first.read_bytes()

    first.write_bytes(content[:-1])
    with pytest.raises(BadGeneration, match=f"expected {len(content)} bytes, got"):
        read(store, bundle)
    first.write_bytes(content)
    second.unlink()
    with pytest.raises(BadGeneration, match="expected a segment from sequence 2 on"):
        read(store, bundle)


def test_changes_that_came_during_a_build_are_carried_to_the_new_generation(store, bundle) -> None:
    append_changes(store, make_changes(bundle, [Item("old", "oak")]), bundle_id=bundle.bundle_id)
    items = [Item("i0", "Lamp"), Item("i1", "Lamp")]
    write_generation(store.generation("h"), bundle, items, generation_id="h")
    late = make_changes(bundle, [Item("late", "red")], ["i1"])
    append_changes(store, late, bundle_id=bundle.bundle_id)
    merge_newest(store.deltas("g"))

    with writing(store):
        publish(store, "h", since=("g", 1))

    assert shown(read(store, bundle)) == expected(bundle, {"i0": "Lamp", "late": "red"})


def test_an_append_waits_for_the_switch_and_goes_to_what_is_current(store, bundle) -> None:
    write_generation(store.generation("h"), bundle, [Item("i0", "Lamp")], generation_id="h")
    with writing(store):
        publish(store, "h")

    append_changes(store, make_changes(bundle, [Item("x", "oak")]), bundle_id=bundle.bundle_id)

    assert not store.deltas("g").exists()
    assert set(shown(read(store, bundle))) == {"i0", "x"}
    with appending(store) as current:
        assert current == read_current(store)


def test_an_id_comes_once_in_a_set_of_changes(bundle) -> None:
    with pytest.raises(ValueError, match="expected each item_id once"):
        make_changes(bundle, [Item("x", "oak")], ["x"])


def test_a_file_shorter_than_what_is_to_be_mapped_is_refused_and_not_mapped(tmp_path) -> None:
    """Reading past the end of a mapped file would kill the process."""
    path = tmp_path / "short"
    path.write_bytes(b"x" * mmap.PAGESIZE)

    with pytest.raises(BadGeneration, match="expected 70000 bytes, got"):
        Region(1 << 20).map_file(path, at=0, offset=0, length=70_000)


def test_a_region_shows_files_and_bytes_side_by_side_and_outlives_its_name(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * (ALIGNMENT + 5))
    region = Region(4 * ALIGNMENT)
    region.map_file(path, at=ALIGNMENT, offset=ALIGNMENT, length=5)
    region.write(3 * ALIGNMENT, np.frombuffer(b"zz", np.uint8))
    shown_bytes = region.array()
    del region

    assert bytes(shown_bytes[ALIGNMENT : ALIGNMENT + 6]) == b"aaaaa\0"
    assert bytes(shown_bytes[3 * ALIGNMENT :][:2]) == b"zz"
    with pytest.raises(ValueError, match="read-only"):
        shown_bytes[0] = 1


def test_a_segment_gives_back_its_changes(store, bundle) -> None:
    changes = make_changes(bundle, [Item("x", "oak"), Item("y", "")], ["i0", "i1"])
    append_changes(store, changes, bundle_id=bundle.bundle_id)

    segment = read_segment(segment_files(store.deltas("g"))[0].path)

    assert segment.removed() == ["i0", "i1"]
    assert np.array_equal(segment.embeddings(), changes.encoded.embeddings)
    assert segment.hashes[:, 0].tolist() == changes.text_hashes.tolist()
    assert segment.sequences().tolist() == [1, 2, 3, 4]
