"""One demo run, made once, that every end-to-end test looks at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path("build/test-demo")


def run_demo(*words: str) -> str:
    """`ellm demo` as a user runs it; what it printed."""
    command = [sys.executable, "-m", "relevance", "demo", "--out", str(DEMO), *words]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def demo_output() -> str:
    return run_demo()
