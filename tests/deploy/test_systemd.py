"""The units, read by systemd itself over a root that has what they start."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.network  # needs systemd-analyze

VENDOR = Path("/lib/systemd/system")
MOST_EXPOSED = 20  # tenths; systemd calls up to 2.0 "OK"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the units, systemd's own targets and slices, and the programs."""
    units, vendor = tmp_path / "etc/systemd/system", tmp_path / "usr/lib/systemd/system"
    for folder in (units, vendor, tmp_path / "opt/relevance/bin", tmp_path / "bin"):
        folder.mkdir(parents=True)
    for path in Path("deploy/systemd").glob("relevance*"):
        shutil.copy(path, units)
    for path in (*VENDOR.glob("*.target"), *VENDOR.glob("*.slice")):
        shutil.copy(path, vendor)
    for program in ("opt/relevance/bin/ellm", "bin/kill"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    return tmp_path


def verified(root: Path) -> subprocess.CompletedProcess[str]:
    names = [path.name for path in sorted((root / "etc/systemd/system").iterdir())]
    words = ["systemd-analyze", "verify", "--man=no", f"--root={root}", *names]
    return subprocess.run(words, capture_output=True, text=True)


def test_systemd_reads_every_unit_without_a_word(root: Path) -> None:
    """No unknown key, no missing program, no bad value."""
    done = verified(root)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("wrong", ["Restrat=always", "ExecStartPre=/opt/relevance/bin/nothing"])
def test_systemd_notices_what_is_wrong(root: Path, wrong: str) -> None:
    """A check that cannot fail would say nothing."""
    unit = root / "etc/systemd/system/relevance.service"
    unit.write_text(unit.read_text().replace("[Service]\n", f"[Service]\n{wrong}\n"))

    assert verified(root).stderr


@pytest.mark.parametrize("service", [p.name for p in Path("deploy/systemd").glob("*.service")])
def test_a_unit_is_locked_down(root: Path, service: str) -> None:
    """systemd's own measure of exposure stays below 2 of 10."""
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    words += [f"--threshold={MOST_EXPOSED}", f"--root={root}", service]
    done = subprocess.run(words, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-400:]
