"""A worker's modules are passed over by the collector; what comes after them is collected."""

import os
import subprocess
import sys
from pathlib import Path

WORKER = """
import gc, weakref
from service.app import create_app

class Link:
    pass

create_app()
assert gc.get_freeze_count() > 10 * len(gc.get_objects()), "the modules are still looked through"
link = Link()
link.itself, seen = link, weakref.ref(link)
del link
gc.collect()
assert seen() is None, "a cycle made later was kept"
"""
HANDED_SETTINGS = """
import gc
from service.app import create_app
from service.settings import read_settings

create_app(read_settings())
assert gc.get_freeze_count() == 0, "somebody else's process was frozen"
"""


def test_a_worker_keeps_its_modules_from_the_collector_and_nothing_else(tmp_path: Path) -> None:
    run(WORKER, store=str(tmp_path))


def test_an_application_made_with_settings_leaves_the_process_as_it_is(tmp_path: Path) -> None:
    run(HANDED_SETTINGS, store=str(tmp_path))


def run(code: str, *, store: str) -> None:
    """The code in a process of its own, with the environment of a worker."""
    environment = {**os.environ, "ELLM_STORE": store}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
