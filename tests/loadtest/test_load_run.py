"""Locust beside the phases: it ends when they end, whoever started the run."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.load_run import Load, locust_beside, started_interruptible
from loadtest.processes import Server, free_port
from loadtest.traffic import read_traffic

HANDLER = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"


@pytest.fixture
def interrupts_ignored() -> Iterator[None]:
    """As in a process that a shell started in its background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ends_on_interrupts() -> bool:
    told = subprocess.run([sys.executable, "-c", HANDLER], capture_output=True, check=True)
    return told.stdout.strip() == b"True"


def test_what_a_process_ignores_its_children_ignore_unless_they_are_started_interruptible(
    interrupts_ignored,
) -> None:
    with started_interruptible():
        assert ends_on_interrupts()
    assert not ends_on_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_starting_interruptible_leaves_a_handler_of_ones_own_alone() -> None:
    before = signal.getsignal(signal.SIGINT)

    with started_interruptible():
        assert signal.getsignal(signal.SIGINT) is before

    assert signal.getsignal(signal.SIGINT) is before


def test_locust_ends_with_the_phases_though_the_run_was_started_in_the_background(
    interrupts_ignored, tmp_path: Path
) -> None:
    """Nobody listens, so its requests fail; it writes its report all the same."""
    (tmp_path / "shop_items.csv").write_text("item_id,title\nB001,Red lamp\n")
    (tmp_path / "shop_pairs.csv").write_text("query,item_id,good\nred lamp,B001,1\n")
    data = tmp_path / "shop"
    load = Load(read_traffic(data), data, per_second=1, seconds=60, users=1, user_rate=1)
    log = tmp_path / "locust.log"

    with locust_beside(Server("nobody", free_port(), 0), load, 1, out=tmp_path) as locust:
        while "All users spawned" not in log.read_text():
            assert locust.poll() is None, log.read_text()
            time.sleep(0.05)

    assert "run-time limit reached" not in log.read_text()
    assert (tmp_path / "locust.html").stat().st_size > 0
