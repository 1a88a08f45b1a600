"""The console over the tests' store, with a second bundle beside it and a file for labels."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.refresh.refresh import refresh
from tests.service.console.make_console import console
from tests.service.make_bundle import make_bundle


@pytest.fixture(scope="session")
def second_store(tmp_path_factory: pytest.TempPathFactory, catalogue_file: Path) -> Path:
    """The same catalogue under another bundle, which scores everything otherwise."""
    folder = tmp_path_factory.mktemp("second")
    make_bundle(folder / "bundle", seed=5)
    refresh(bundle=folder / "bundle", items=catalogue_file, store=folder / "store")
    return folder / "store"


@pytest.fixture(scope="session")
def client(
    tmp_path_factory: pytest.TempPathFactory, store_folder: Path, second_store: Path
) -> Iterator[TestClient]:
    labels = tmp_path_factory.mktemp("labels") / "shop"
    with console(store_folder, console_compare=second_store, console_labels=labels) as opened:
        yield opened
