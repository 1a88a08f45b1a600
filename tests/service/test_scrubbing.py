import shutil
import threading
from pathlib import Path

from relevance.errors import BadGeneration
from relevance.generation import EMBEDDINGS, StorePaths, read_current
from service.run_folder import RunFolder
from service.scrubbing import Scrubbing
from service.settings import Settings
from service.store.scrub import Scrubbed, scrub_current
from tests.service.live_service import eventually


def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.make()
    return run


def settings(store: Path, **changes) -> Settings:
    return Settings(store=store, **{"scrub_interval": 0.01, **changes})


class Passes:
    """Counts passes and ends each as it is told to."""

    def __init__(self, fault: BadGeneration | None = None) -> None:
        self.fault = fault
        self.count = 0

    def __call__(self, store, *, bytes_per_second, wait) -> Scrubbed:
        self.count += 1
        if self.fault is not None:
            raise self.fault
        return Scrubbed("g", 0, None)


def test_one_worker_of_a_service_reads_and_another_takes_over_when_it_ends(tmp_path) -> None:
    run, first, second = folder(tmp_path), Passes(), Passes()
    made = settings(tmp_path)

    with Scrubbing(made, run, one_pass=first).running():
        eventually(lambda: first.count >= 2)
        with Scrubbing(made, run, one_pass=second).running():
            so_far = first.count
            eventually(lambda: first.count > so_far)
            assert second.count == 0
    with Scrubbing(made, run, one_pass=second).running():
        eventually(lambda: second.count >= 1)


def test_damage_without_a_way_back_is_told_until_it_is_mended(tmp_path) -> None:
    run, passes = folder(tmp_path), Passes(BadGeneration("arena: chunk 3 differs\nhint: refresh"))

    with Scrubbing(settings(tmp_path), run, one_pass=passes).running():
        eventually(run.is_damaged)
        passes.fault = None
        eventually(lambda: not run.is_damaged())


def test_a_flipped_bit_is_found_and_said_where_there_is_no_earlier_generation(
    store_folder, tmp_path
) -> None:
    shutil.copytree(store_folder, tmp_path / "store")
    store = StorePaths(tmp_path / "store")
    with (store.generation(read_current(store).generation) / EMBEDDINGS).open("r+b") as arena:
        arena.seek(100)
        byte = arena.read(1)
        arena.seek(100)
        arena.write(bytes([byte[0] ^ 1]))
    run = folder(tmp_path)

    with Scrubbing(settings(store.root), run).running():
        eventually(run.is_damaged)


def test_a_service_that_ends_does_not_wait_for_a_slow_pass(store_folder, tmp_path) -> None:
    begun = threading.Event()

    def slow(store, *, bytes_per_second, wait) -> Scrubbed:
        begun.set()
        return scrub_current(store, bytes_per_second=1.0, wait=wait)  # days

    with Scrubbing(settings(store_folder), folder(tmp_path), one_pass=slow).running():
        assert begun.wait(60)


def test_without_an_interval_nothing_is_read(tmp_path) -> None:
    passes = Passes()
    made = settings(tmp_path, scrub_interval=0.0)

    with Scrubbing(made, folder(tmp_path), one_pass=passes).running():
        pass

    assert passes.count == 0
    assert not folder(tmp_path).scrub_lock.exists()
