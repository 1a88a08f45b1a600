"""A refresh: the same bytes however many cores encode, and every item in its place."""

import numpy as np
import pytest

from relevance.generation import EMBEDDINGS, StorePaths, read_current
from relevance.records import read_catalogue
from service.refresh import job
from service.refresh.plan import Extent, Options, Outcome
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE
from tests.service.shown import parts_of, read

ALL = Options(extent=Extent.ALL)


@pytest.mark.parametrize("most_threads", [4, 1])
def test_a_refresh_writes_the_same_bytes_on_threads_and_in_processes(
    store_folder, bundle_folder, catalogue_file, tmp_path, monkeypatch, most_threads
) -> None:
    """On two cores; the store it is compared with was encoded on one."""
    monkeypatch.setattr(job, "MOST_THREADS", most_threads)

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
