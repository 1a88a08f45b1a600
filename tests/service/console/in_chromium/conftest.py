"""A real browser at a real service on the sample shop.

Each module has a browser of its own, for Playwright's event loop must not outlive its tests, and a
service of its own; the shop's files are made once.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.service.console.browser import Watched, chromium, watched
from tests.service.console.in_chromium.addresses import base_of
from tests.service.console.make_shop_service import Shop, make_shop_files
from tests.service.live_service import LiveService


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop_files(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def labels(shop: Shop) -> Path:
    return shop.folder / "labels" / "mine"


@pytest.fixture(scope="module")
def service(shop: Shop, labels: Path) -> Iterator[LiveService]:
    with shop.served(teacher=str(shop.teacher), console_labels=str(labels)) as running:
        yield running


@pytest.fixture
def console(browser: Browser, service: LiveService) -> Iterator[Watched]:
    with watched(browser, base_of(service)) as page:
        yield page


@pytest.fixture(scope="session")
def pair(shop: Shop) -> tuple[str, str]:
    """A labelled pair whose teacher's opinion names aspects on both sides."""
    found = json.loads(shop.audit.read_text())["pairs"]
    one = next(p for p in found if {a["verdict"] for a in p["aspects"]} >= {"match", "mismatch"})
    return one["query"], one["item_id"]
