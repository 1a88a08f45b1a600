"""Write-back of items that were missing: what is kept, what is dropped, and when it is seen."""

import threading

from relevance.domain import Item
from relevance.generation import read_current
from service.store.write_back import AbsentIds, EncodeBudget, WriteBack
from tests.service.test_store_deltas import codec_of, read, shown, store  # noqa: F401


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def offer(write_back: WriteBack, bundle, *items: Item) -> None:
    codec = codec_of(bundle)
    texts = [codec.text(item) for item in items]
    write_back.offer(items, texts, codec.encode(texts))


def test_what_a_request_encoded_is_in_the_store_for_the_next_one(store, bundle) -> None:  # noqa: F811
    reader = read(store, bundle)
    write_back = WriteBack(store, bundle_id=bundle.bundle_id, items=lambda: reader)
    offer(write_back, bundle, Item("new", "Oak lamp"), Item("i0", "Lamp i0"))
    offer(write_back, bundle, Item("new", "Oak lamp again"))

    assert write_back.append() == 1
    assert write_back.append() == 0

    now = shown(reader.latest())
    assert now["new"][0] == "Oak lamp again"
    assert now["i0"] == shown(reader)["i0"]
    counts = write_back.counts
    assert (counts.offered, counts.written, counts.known, counts.dropped) == (3, 1, 1, 0)


def test_what_does_not_fit_is_dropped_and_counted(store, bundle) -> None:  # noqa: F811
    reader = read(store, bundle)
    write_back = WriteBack(store, bundle_id=bundle.bundle_id, items=lambda: reader, most=2)

    offer(write_back, bundle, *(Item(f"new-{at}", "Oak") for at in range(5)))

    assert write_back.append() == 2
    assert write_back.counts.dropped == 3


def test_an_append_that_fails_is_counted_and_changes_nothing(store, bundle) -> None:  # noqa: F811
    reader = read(store, bundle)
    write_back = WriteBack(store, bundle_id="0" * 16, items=lambda: reader)
    offer(write_back, bundle, Item("new", "Oak"))

    assert write_back.append() == 0

    assert write_back.counts.failed == 1
    assert reader.latest().sequence == 0
    assert read_current(store).bundle == bundle.bundle_id


def test_the_thread_appends_what_is_left_when_it_stops(store, bundle) -> None:  # noqa: F811
    reader = read(store, bundle)
    write_back = WriteBack(store, bundle_id=bundle.bundle_id, items=lambda: reader)
    stop = threading.Event()
    stop.set()
    offer(write_back, bundle, Item("new", "Oak"))

    write_back.run(stop)

    assert reader.latest().sequence == 1


def test_a_budget_grants_its_rate_and_saves_up_one_second() -> None:
    clock = Clock()
    budget = EncodeBudget(10, clock=clock)

    assert budget.take(25) == 10
    assert budget.take(1) == 0
    clock.now = 0.5
    assert budget.take(25) == 5
    clock.now = 60.0
    assert budget.take(25) == 10


def test_absent_ids_are_asked_for_again_after_a_while_or_a_change(store, bundle) -> None:  # noqa: F811
    clock = Clock()
    absent = AbsentIds(most=3, seconds=30, clock=clock)
    reader = read(store, bundle)
    absent.note(["a", "b"], items=reader)

    assert absent.worth_asking(["a", "b", "c"], items=reader) == ["c"]
    clock.now = 30.0
    assert absent.worth_asking(["a", "b"], items=reader) == ["a", "b"]
    absent.note(["a", "b", "c", "d"], items=reader)
    assert len(absent) == 3
    assert absent.worth_asking(["a", "d"], items=reader) == ["a"]
    write_back = WriteBack(store, bundle_id=bundle.bundle_id, items=lambda: reader)
    offer(write_back, bundle, Item("d", "Oak"))
    write_back.append()
    assert absent.worth_asking(["d"], items=reader.latest()) == ["d"]
