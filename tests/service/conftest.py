"""One bundle, one small catalogue and one published store for all service tests."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import settings

from relevance.bundle import BundleManifest, read_bundle
from relevance.domain import Item
from service.encoder import OnnxTokenEncoder
from service.fakes import items_in_memory
from service.item_codec import ItemCodec
from service.query_cache import QueryCache
from service.refresh.refresh import refresh
from service.scorer import open_scorer
from service.settings import Settings
from service.snapshot import Snapshot
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
    refresh(bundle=bundle_folder, items=catalogue_file, store=folder)
    return folder


@pytest.fixture
def own_store(store_folder: Path, tmp_path: Path) -> Path:
    """A copy of the published store that a test may write to."""
    shutil.copytree(store_folder, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="session")
def snapshot(bundle_folder: Path, bundle: BundleManifest) -> Snapshot:
    """The bundle's real graphs over the catalogue in memory."""
    encoder = OnnxTokenEncoder.read(bundle_folder, bundle)
    scorer, degraded = open_scorer(bundle_folder, bundle)
    items = items_in_memory(CATALOGUE, ItemCodec(encoder, bundle))
    return Snapshot(bundle, encoder, scorer, items, QueryCache(100), degraded)


@pytest.fixture(scope="session")
def client(store_folder: Path) -> Iterator[TestClient]:
    from service.app import create_app

    with TestClient(create_app(Settings(store=store_folder, log_requests="none"))) as opened:
        yield opened
