"""The report as a person opens it: in a real browser, without any network."""

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.conftest import DEMO

pytestmark = [pytest.mark.slow, pytest.mark.network]

QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def open_in_chromium(page: Path, profile: Path, *words: str) -> str:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is needed: see deploy/test-packages.txt"
    command = [chromium, *QUIET, f"--user-data-dir={profile}", *words, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def test_the_report_is_drawn(demo_output: str, tmp_path: Path) -> None:
    picture = DEMO / "report.png"

    open_in_chromium(
        DEMO / "report.html", tmp_path, f"--screenshot={picture}", "--window-size=1100,3000"
    )

    with Image.open(picture) as drawn:
        colours = drawn.convert("RGB").getcolors(maxcolors=1 << 24)
    assert drawn.size == (1100, 3000)
    assert colours is not None
    assert len(colours) > 100


def test_the_browser_reads_every_section(demo_output: str, tmp_path: Path) -> None:
    read = open_in_chromium(DEMO / "report.html", tmp_path, "--dump-dom")

    for heading in ("Judges compared", "Curves", "Served scores", "Slices", "Explained pairs"):
        assert heading in read
    assert read.count("<svg") >= 6
