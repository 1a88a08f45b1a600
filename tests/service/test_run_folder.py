import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.run_folder import Phase, RunFolder, WorkerState, temporary_run_folder


def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.make()
    return made


def state(process_id: int, *, seen: float | None = None, generation: str = "g1") -> WorkerState:
    return WorkerState(
        process_id=process_id,
        phase=Phase.READY,
        ready=True,
        bundle="b" * 16,
        generation=generation,
        sequence=0,
        seen=time.time() if seen is None else seen,
    )


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_living_workers_are_known_and_the_newest_of_what_they_said(tmp_path) -> None:
    run = folder(tmp_path)

    run.write(state(os.getpid(), generation="g1"))
    run.write(state(os.getppid()))
    run.write(state(os.getpid(), generation="g2"))

    known = {one.process_id: one.generation for one in run.states()}
    assert known == {os.getpid(): "g2", os.getppid(): "g1"}


def test_a_dead_worker_goes_with_its_gauges_and_leaves_its_counters(tmp_path) -> None:
    run, dead = folder(tmp_path), dead_process()
    run.write(state(dead))
    counters = [run.counters / f"{kind}_{dead}.db" for kind in ("counter", "histogram")]
    gauge = run.counters / f"gauge_livesum_{dead}.db"
    for file in (*counters, gauge):
        file.touch()

    assert run.states() == ()

    assert not gauge.exists()
    assert all(file.exists() for file in counters)


def test_a_worker_that_gives_no_sign_of_life_is_not_counted(tmp_path) -> None:
    run = folder(tmp_path)
    run.write(state(os.getpid(), seen=time.time() - 60))

    assert run.states() == ()

    run.write(state(os.getpid()))
    assert len(run.states()) == 1


def test_a_half_written_state_is_passed_over(tmp_path) -> None:
    run = folder(tmp_path)
    run.write(state(os.getpid()))
    (run.root / "workers" / "1.json").write_text('{"process_id": 1')

    assert [one.process_id for one in run.states()] == [os.getpid()]


def test_every_nudge_has_a_number_of_its_own(tmp_path) -> None:
    run = folder(tmp_path)
    assert run.last_nudge() == 0

    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: RunFolder(run.root).nudge(), range(40)))

    assert sorted(numbers) == list(range(1, 41))
    assert run.last_nudge() == 40


def test_a_temporary_folder_is_gone_afterwards() -> None:
    with temporary_run_folder() as run:
        assert run.counters.is_dir()

    assert not run.root.exists()


def test_what_a_killed_service_left_is_removed_and_what_lives_is_kept(tmp_path) -> None:
    code = (
        "import os, pathlib, sys; from service.run_folder import temporary_run_folder;"
        "made = temporary_run_folder(place=pathlib.Path(sys.argv[1])); made.__enter__();"
        "os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
    (left,) = tmp_path.iterdir()

    with temporary_run_folder(place=tmp_path) as first:
        assert not left.exists()
        with temporary_run_folder(place=tmp_path) as second:
            assert first.counters.is_dir()
            assert second.counters.is_dir()

    assert list(tmp_path.iterdir()) == []
