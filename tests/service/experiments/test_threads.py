import threading

import pytest

from service.experiments.threads import Busy, Late, PatientThreads


def test_the_outcome_or_the_fault_of_the_work_comes_back() -> None:
    threads = PatientThreads(2, name="two")

    assert [threads.run(lambda at=at: at * at, patience=5) for at in range(9)] == [
        at * at for at in range(9)
    ]
    with pytest.raises(ZeroDivisionError):
        threads.run(lambda: 1 / 0, patience=5)


def test_what_takes_too_long_is_late_and_what_finds_no_thread_is_told_at_once() -> None:
    threads, end = PatientThreads(1, name="one"), threading.Event()

    with pytest.raises(Late, match="one: not done within 10 ms"):
        threads.run(end.wait, patience=0.01)
    with pytest.raises(Busy):
        threads.run(end.wait, patience=5)

    end.set()
    while True:
        try:
            assert threads.run(lambda: "again", patience=5) == "again"
        except Busy:
            continue
        break
    threads.close()
