"""One bundle, one small catalogue and one published store for all service tests."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import settings

from relevance.bundle import BundleManifest, read_bundle
from relevance.domain import Item
from service.app import create_app
from service.refresh.refresh import refresh
from service.serving import Serving, open_serving
from service.settings import Settings
from service.teacher_door import Explainer
from tests.service.make_bundle import make_bundle

# Disks and neighbours on a shared machine pause: a deadline would test them and not us.
UNHURRIED = settings(deadline=None)
FEW = settings(deadline=None, max_examples=25)  # where every example writes and fsyncs files
CATALOGUE = (
    Item("B001", "Steel water bottle", brand="Acme", color="red"),
    Item("B002", "Blue cotton shoe", attributes=(("size", "42"), ("sole", "rubber"))),
    Item("B003", "Oak desk", description="A desk made of oak."),
    Item("B004", "A very long title that is cut because it has many more tokens than fit"),
    Item("B005", ""),
    Item("Ω-6", "Ｗater\u200b bottle 24oz"),
    *(Item(f"lamp-{at}", f"Lamp {at} steel oak red") for at in range(200)),
)


def write_catalogue(path: Path, items: Sequence[Item]) -> Path:
    rows = [
        {
            "item_id": item.item_id,
            "title": item.title,
            "brand": item.brand,
            "color": item.color,
            "description": item.description,
            "attributes_json": json.dumps(dict(item.attributes)),
        }
        for item in items
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def bundle(bundle_folder: Path) -> BundleManifest:
    return read_bundle(bundle_folder)


@pytest.fixture(scope="session")
def catalogue_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue") / "items.jsonl", CATALOGUE)


@pytest.fixture(scope="session")
def store_folder(
    tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path, catalogue_file: Path
) -> Path:
    folder = tmp_path_factory.mktemp("store")
    refresh(bundle=bundle_folder, items=catalogue_file, store=folder, workers=1)
    return folder


@pytest.fixture(scope="session")
def serving(store_folder: Path) -> Iterator[Serving]:
    with open_serving(Settings(store=store_folder)) as opened:
        yield opened


@pytest.fixture(scope="session")
def client(store_folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=store_folder))) as opened:
        yield opened


def with_explainer(explainer: Explainer) -> Callable[[Settings], AbstractContextManager[Serving]]:
    @contextmanager
    def opened(settings: Settings) -> Iterator[Serving]:
        with open_serving(settings) as serving:
            yield replace(serving, explainer=explainer)

    return opened
