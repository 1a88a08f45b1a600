"""A store's one switch and the manifests behind it."""

import pytest

from relevance.errors import BadGeneration
from relevance.generation import (
    MANIFEST,
    Current,
    GenerationManifest,
    StorePaths,
    read_current,
    read_history,
    read_manifest,
    switch_current,
)
from relevance.item_text import ItemText

BUNDLE = "0123456789abcdef"


def make_manifest(**changes):
    settings = {
        "generation_id": "2024-01-01-a",
        "bundle_id": BUNDLE,
        "items": 3,
        "rows": 32,
        "dim": 128,
        "item_text": ItemText.TITLE,
        "created": "2024-01-01T00:00:00Z",
        "files": {},
    }
    return GenerationManifest.model_validate({**settings, **changes})


def test_what_a_store_holds_lies_where_it_says(tmp_path):
    store = StorePaths(tmp_path)

    assert store.current == tmp_path / "CURRENT"
    assert store.lock == tmp_path / "LOCK"
    assert store.bundle(BUNDLE) == tmp_path / "bundles" / BUNDLE
    assert store.generation("a") == tmp_path / "generations" / "a"


def test_the_switch_names_generation_and_bundle(tmp_path):
    store = StorePaths(tmp_path)
    for name in ("first", "second"):
        switch_current(store, Current(generation=name, bundle=BUNDLE))

    assert read_current(store) == Current(generation="second", bundle=BUNDLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "HISTORY"]


def test_history_keeps_every_switch_and_leaves_out_a_line_cut_short(tmp_path):
    store = StorePaths(tmp_path)
    assert read_history(store) == []
    for name in ("first", "second", "first"):
        switch_current(store, Current(generation=name, bundle=BUNDLE))
    with store.history.open("a") as file:
        file.write('{"generation": "th')

    assert [switch.generation for switch in read_history(store)] == ["first", "second", "first"]


def test_a_store_without_a_generation_says_how_to_get_one(tmp_path):
    with pytest.raises(BadGeneration, match=r"CURRENT: expected .*\nhint: `ellm refresh`"):
        read_current(StorePaths(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", '{"generation": "../x", "bundle": "0123456789abcdef"}'])
def test_a_damaged_switch_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "CURRENT").write_text(text)

    with pytest.raises(BadGeneration, match="CURRENT: expected generation and bundle") as refusal:
        read_current(StorePaths(tmp_path))

    assert "\n" not in str(refusal.value)


def test_a_manifest_is_read_back(tmp_path):
    manifest = make_manifest()
    (tmp_path / MANIFEST).write_text(manifest.model_dump_json())

    assert read_manifest(tmp_path) == manifest


def test_an_absent_or_damaged_manifest_is_refused(tmp_path):
    with pytest.raises(BadGeneration, match=r"manifest.json: expected .*No such file"):
        read_manifest(tmp_path)

    (tmp_path / MANIFEST).write_text(make_manifest().model_dump_json().replace("/2", "/3"))
    with pytest.raises(BadGeneration, match="manifest.json: malformed: Input should be"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"generation_id": "A B"}, {"items": 0}, {"bundle_id": "x"}, {"more": 1}]
)
def test_a_manifest_cannot_be_built_wrong(changes):
    with pytest.raises(ValueError, match="1 validation error"):
        make_manifest(**changes)
