import shutil

import pytest

from relevance.domain import Item
from relevance.generation import StorePaths
from service.keeping import Keeping, missing_texts
from service.serving import open_pair
from service.settings import Settings
from tests.service.live_service import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(store_folder, tmp_path) -> StorePaths:
    shutil.copytree(store_folder, tmp_path / "store")
    return StorePaths(tmp_path / "store")


def test_nothing_is_kept_unless_the_shop_asks_for_it(store) -> None:
    keeping = Keeping(Settings(store=store.root), lambda: None)

    assert keeping.write_back("a" * 16) is None


def test_what_was_encoded_is_in_the_store_a_moment_later(store) -> None:
    pair = open_pair(Settings(store=store.root))
    items, codec = pair.snapshot.items, pair.snapshot.codec
    keeping = Keeping(Settings(store=store.root, write_back=True), lambda: items)
    new = Item("new-1", "Steel lamp")
    writing = keeping.write_back(pair.snapshot.bundle.bundle_id)

    assert writing is not None
    assert keeping.write_back(pair.snapshot.bundle.bundle_id) is writing
    text = codec.text(new)
    writing.offer([new], [text], codec.encode([text]))
    keeping.close()

    eventually(lambda: items.latest().rows_of(["new-1"])[0] >= 0)


def test_another_bundle_gets_a_write_back_of_its_own_a_while_later(store) -> None:
    clock = Clock()
    items = open_pair(Settings(store=store.root)).snapshot.items
    keeping = Keeping(
        Settings(store=store.root, write_back=True), lambda: items, apart=60, clock=clock
    )
    first = keeping.write_back("a" * 16)

    assert keeping.write_back("b" * 16) is None
    clock.now = 59.0
    assert keeping.write_back("b" * 16) is None
    clock.now = 60.0
    second = keeping.write_back("b" * 16)
    keeping.close()

    assert None not in (first, second)
    assert first is not second


def test_encoding_for_requests_is_bounded_where_asked_for(store) -> None:
    assert missing_texts(Settings(store=store.root)).granted(1000) == 1000
    assert missing_texts(Settings(store=store.root, encode_per_second=5)).granted(1000) == 5
