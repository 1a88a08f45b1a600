import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.bundle import TOKENIZER, BundleManifest
from relevance.domain import Item
from relevance.errors import BadBundle, BadGeneration, BadInput, Unavailable
from relevance.generation import (
    EMBEDDINGS,
    ID_BUCKETS,
    ID_HASHES,
    ID_OFFSETS,
    ID_ROWS,
    IDS,
    ITEMS,
    MANIFEST,
    PARTS,
    TOKEN_COUNTS,
    StorePaths,
    read_current,
)
from service.fakes import WordEncoder
from service.item_codec import ItemCodec
from service.serving import open_current, open_pair, read_in
from service.settings import Settings
from service.store.build import ITEMS_PER_RECORD_BATCH, seal_generation, writing_files
from service.store.flat_ids import FlatIds, encode_id, encode_ids
from service.store.generation_reader import GenerationReader, open_generation
from service.store.id_index import (
    HashIds,
    IdIndex,
    bucket_starts,
    check_distinct,
    hash_ids,
    sort_hashes,
)
from service.store.publish import place_bundle, publish, writing
from tests.service.conftest import CATALOGUE, FEW, UNHURRIED
from tests.service.make_bundle import make_bundle

TEXT = st.text(max_size=8)
MANY_ITEMS = st.lists(
    st.builds(
        Item,
        item_id=TEXT,
        title=TEXT,
        brand=TEXT,
        description=TEXT,
        attributes=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda item: item.item_id,
)


def poor_hash(encoded: Sequence[bytes]) -> np.ndarray:
    return np.array([len(item_id) % 3 for item_id in encoded], np.uint64)


def item_bytes(bundle: BundleManifest) -> int:
    return bundle.max_item_tokens * bundle.dim


def write_generation(
    folder: Path,
    bundle: BundleManifest,
    items: Sequence[Item],
    *,
    generation_id: str = "g",
    hash_ids: HashIds = hash_ids,
) -> None:
    codec = ItemCodec(WordEncoder(bundle.dim), bundle)
    folder.mkdir(parents=True)
    with writing_files(folder, item_bytes=item_bytes(bundle)) as writer:
        for item in items:
            text = codec.text(item)
            writer.append([item], codec.encode([text]), [text])
    created = "2025-01-01T00:00:00"
    seal_generation(
        folder, bundle=bundle, generation_id=generation_id, created=created, hash_ids=hash_ids
    )


@UNHURRIED
@given(item_ids=st.lists(TEXT, min_size=1, unique=True), asked=st.lists(TEXT), poor=st.booleans())
def test_the_index_finds_what_a_dict_finds_though_hashes_collide(item_ids, asked, poor) -> None:
    hashed = poor_hash if poor else hash_ids
    index = IdIndex.of(FlatIds.of([encode_id(i) for i in item_ids]), hash_ids=hashed)
    oracle = {item_id: row for row, item_id in enumerate(item_ids)}

    rows = index.rows_of(asked + item_ids)

    assert rows.tolist() == [oracle.get(item_id, -1) for item_id in asked + item_ids]
    check_distinct(index.hashes, index.entries, index.ids)


@UNHURRIED
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(2**63, 2**63 + 9), min_size=1, max_size=200),
    st.lists(st.integers(0, 2**64 - 1) | st.integers(2**63 - 9, 2**63 + 19), max_size=20),
)
def test_buckets_lead_to_where_a_search_among_all_hashes_does(held, asked) -> None:
    hashes, entries = sort_hashes(np.array(held, np.uint64))
    index = IdIndex(hashes, entries, bucket_starts(hashes), FlatIds.of([b""] * len(held)))
    wanted = np.array([*asked, *held], np.uint64)

    places = np.minimum(index._places(wanted), len(held) - 1)

    assert places.tolist() == np.minimum(np.searchsorted(hashes, wanted), len(held) - 1).tolist()


def test_an_id_that_comes_twice_is_refused() -> None:
    item_ids = ["a", "bb", "c", "bb"]
    index = IdIndex.of(FlatIds.of([encode_id(i) for i in item_ids]), hash_ids=poor_hash)

    with pytest.raises(BadInput, match="item_id `bb`: expected each id once, got it twice"):
        check_distinct(index.hashes, index.entries, index.ids)


@given(st.lists(st.text(alphabet=st.characters(), max_size=5), max_size=6))
def test_ids_become_bytes_together_as_they_do_alone(item_ids) -> None:
    assert encode_ids(item_ids) == [encode_id(item_id) for item_id in item_ids]


def test_a_lone_surrogate_is_an_id_like_another() -> None:
    assert encode_ids(["a", "\ud800", "b"]) == [b"a", b"\xed\xa0\x80", b"b"]


@FEW
@given(items=MANY_ITEMS)
def test_a_generation_gives_back_every_item_and_its_rows(
    bundle, tmp_path_factory, items: list[Item]
) -> None:
    folder = tmp_path_factory.mktemp("generations") / "g"
    codec = ItemCodec(WordEncoder(bundle.dim), bundle)
    write_generation(folder, bundle, items)

    reader = open_generation(folder, bundle)

    expected = codec.encode([codec.text(item) for item in items])
    assert reader.rows_of([item.item_id for item in items]).tolist() == list(range(len(items)))
    assert [reader.item(row) for row in range(len(items))] == items
    assert np.array_equal(reader.arena, expected.embeddings)
    assert np.array_equal(reader.token_counts, expected.token_counts)
    assert np.array_equal(reader.truncated, expected.truncated)


def test_items_are_found_past_the_first_record_batch(bundle, tmp_path) -> None:
    count = ITEMS_PER_RECORD_BATCH + 5
    items = [Item(f"i{at}", "") for at in range(count)]
    codec = ItemCodec(WordEncoder(bundle.dim), bundle)
    with writing_files(tmp_path, item_bytes=item_bytes(bundle)) as writer:
        writer.append(items[:-5], codec.encode([""] * (count - 5)))
        writer.append(items[-5:], codec.encode([""] * 5))
    seal_generation(tmp_path, bundle=bundle, generation_id="g", created="now")

    reader = open_generation(tmp_path, bundle)

    assert reader.base.records["item_id"].num_chunks == 2
    assert reader.rows_of(["i0", f"i{count - 1}"]).tolist() == [0, count - 1]
    assert reader.item(count - 1).item_id == f"i{count - 1}"


def test_a_generation_of_nothing_is_refused(bundle, tmp_path) -> None:
    with pytest.raises(BadInput, match="expected at least one item"):
        write_generation(tmp_path / "g", bundle, [])


def copy_of(store: Path, target: Path) -> tuple[Path, BundleManifest]:
    shutil.copytree(store, target, dirs_exist_ok=True)
    bundle, reader = open_current(StorePaths(target))
    return StorePaths(target).generation(reader.generation_id), bundle


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_byte_is_found_when_opening(store_folder, tmp_path, name) -> None:
    folder, bundle = copy_of(store_folder, tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(BadGeneration, match=rf"{name}: bytes .* expected xxh3_64"):
        open_generation(folder, bundle)


def test_a_truncated_file_is_found_when_opening(store_folder, tmp_path) -> None:
    folder, bundle = copy_of(store_folder, tmp_path)
    size = (folder / EMBEDDINGS).stat().st_size
    with (folder / EMBEDDINGS).open("r+b") as file:
        file.truncate(size - 1)

    with pytest.raises(BadGeneration, match=f"expected {size} bytes, got {size - 1}"):
        open_generation(folder, bundle)


def test_an_absent_file_is_found_when_opening(store_folder, tmp_path) -> None:
    folder, bundle = copy_of(store_folder, tmp_path)
    (folder / ITEMS).unlink()

    with pytest.raises(BadGeneration, match="names this file, but it is absent"):
        open_generation(folder, bundle)


def test_a_manifest_that_counts_wrong_is_found_when_opening(store_folder, tmp_path) -> None:
    folder, bundle = copy_of(store_folder, tmp_path)
    text = (folder / MANIFEST).read_text()
    items = len(CATALOGUE)
    (folder / MANIFEST).write_text(text.replace(f'"items": {items}', f'"items": {items - 1}'))

    with pytest.raises(BadGeneration, match=f"{ITEMS}: expected {items - 1} items"):
        open_generation(folder, bundle)


def test_a_generation_of_another_bundle_is_refused_naming_both(
    store_folder, bundle, tmp_path
) -> None:
    folder, _ = copy_of(store_folder, tmp_path / "store")
    other = make_bundle(tmp_path / "other", seed=1)

    with pytest.raises(
        BadGeneration, match=f"{other.bundle_id}, got one made by {bundle.bundle_id}"
    ):
        open_generation(folder, other)


def test_a_bundle_with_a_changed_byte_is_not_placed(bundle_folder, tmp_path) -> None:
    shutil.copytree(bundle_folder, tmp_path / "bundle")
    with (tmp_path / "bundle" / TOKENIZER).open("a") as file:
        file.write(" ")
    paths = StorePaths(tmp_path / "store")

    with writing(paths), pytest.raises(BadBundle, match=TOKENIZER):
        place_bundle(paths, tmp_path / "bundle")

    assert not paths.root.joinpath("bundles").exists()


def test_an_empty_store_says_how_to_fill_it(tmp_path) -> None:
    with pytest.raises(BadGeneration, match="`ellm refresh` builds and publishes one"):
        open_current(StorePaths(tmp_path))


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path) -> None:
    paths = StorePaths(tmp_path / "store")

    with (
        writing(paths),
        pytest.raises(Unavailable, match=r"another writer holds this store \(process \d+\)"),
        writing(paths),
    ):
        pass

    with writing(paths):
        pass


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path) -> None:
    paths = StorePaths(tmp_path)
    unfinished = paths.generation(".g.x7f")
    unfinished.mkdir(parents=True)
    (unfinished / TOKEN_COUNTS).write_bytes(b"1")

    with writing(paths):
        pass

    assert not unfinished.exists()


def test_publishing_switches_and_refuses_a_generation_without_its_bundle(
    store_folder, bundle_folder, bundle, tmp_path
) -> None:
    paths = StorePaths(tmp_path)
    write_generation(paths.generation("g"), bundle, CATALOGUE)

    with writing(paths), pytest.raises(BadBundle):
        publish(paths, "g")
    with writing(paths):
        place_bundle(paths, bundle_folder)
        publish(paths, "g")

    assert read_current(paths).generation == "g"
    assert isinstance(open_current(paths)[1], GenerationReader)


def test_reading_in_covers_the_index_and_the_rows_and_stops_at_its_bound(store_folder) -> None:
    pair = open_pair(Settings(store=store_folder))
    items = pair.snapshot.items
    rows = (items.token_counts, items.truncated, items.arena)
    index = [store.stat().st_size for store in index_files(items.generation_id, store_folder)]

    assert read_in(pair, max_bytes=1 << 40) == sum(index) + sum(array.nbytes for array in rows)
    assert read_in(pair, max_bytes=100) == 100


def index_files(generation_id: str, store: Path) -> list[Path]:
    folder = StorePaths(store).generation(generation_id)
    return [folder / name for name in (IDS, ID_OFFSETS, ID_HASHES, ID_ROWS, ID_BUCKETS)]
