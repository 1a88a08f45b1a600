"""A service of one's own to put load on: `ellm serve` over a store, or over a copy to change."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from loadtest.processes import Server, free_port, serving
from relevance.errors import Unavailable
from relevance.generation import StorePaths, read_current, read_manifest

QUIET = {"log_requests": "none", "drain_delay": "0"}


@contextmanager
def own_service(
    store: Path, scratch: Path, *, port: int = 0, settings: Mapping[str, str] = {}
) -> Iterator[Server]:
    """A ready service; `settings` are `ellm serve`'s, by name. Port 0 takes a free one."""
    chosen = port or free_port()
    told = {"store": str(store), "port": str(chosen), **QUIET, **settings}
    environment = {f"ELLM_{name.upper()}": value for name, value in told.items()}
    with serving(
        "service",
        [sys.executable, "-m", "relevance", "serve"],
        port=chosen,
        log=scratch / f"service-{chosen}.log",
        environment={**os.environ, **environment},
    ) as server:
        yield server


def copied_store(store: Path, folder: Path) -> Path:
    """A copy of a store's bundles and current generation, without its history."""
    paths, current = StorePaths(store), read_current(StorePaths(store))
    copy = StorePaths(folder)
    for source, target in (
        (paths.generation(current.generation), copy.generation(current.generation)),
        (paths.bundle(current.bundle), copy.bundle(current.bundle)),
    ):
        shutil.copytree(source, target)
    shutil.copy(paths.current, copy.current)
    return folder


def item_bytes(store: Path) -> float:
    """Bytes of the current generation for each of its items, all parts together."""
    paths = StorePaths(store)
    manifest = read_manifest(paths.generation(read_current(paths).generation))
    return sum(manifest.sizes.values()) / manifest.items


def ellm(*words: object) -> str:
    """Run a command of `ellm` and give what it printed; raises `Unavailable` where it failed."""
    command = [sys.executable, "-m", "relevance", *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Unavailable(f"ellm {' '.join(map(str, words))}: {run.stderr[-1000:]}")
    return run.stdout
