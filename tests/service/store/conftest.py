"""A store of one generation, and one of two."""

import shutil

import pytest

from relevance.generation import StorePaths, read_current
from service.refresh.refresh import refresh
from tests.service.store.keeping import ALL


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
