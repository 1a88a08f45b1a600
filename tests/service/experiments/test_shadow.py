import threading
import time

from service.experiments.shadow import DROPPED, FAILED, SCORED, Shadows


def eventually(is_true) -> None:
    while not is_true():
        time.sleep(0.001)


def test_shadows_are_done_beside_whoever_offers_them_and_a_broken_one_is_counted() -> None:
    shadows, done = Shadows(), []

    shadows.offer("new", lambda: done.append(threading.get_ident()))
    shadows.offer("new", lambda: 1 / 0)
    eventually(lambda: sum(shadows.totals.values()) == 2)

    assert shadows.totals == {("new", SCORED): 1, ("new", FAILED): 1}
    assert done != [threading.get_ident()]
    shadows.close()


def test_a_shadow_that_stands_still_makes_later_ones_be_dropped_and_counted() -> None:
    shadows, started, end = Shadows(most_waiting=3), threading.Event(), threading.Event()

    def stand_still() -> None:
        started.set()
        end.wait()

    shadows.offer("slow", stand_still)
    started.wait()
    for _ in range(10):
        shadows.offer("slow", lambda: None)

    assert shadows.totals == {("slow", DROPPED): 7}
    end.set()
    eventually(lambda: shadows.totals["slow", SCORED] == 4)
    shadows.close()
