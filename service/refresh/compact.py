"""Compaction: a generation and its deltas become a new generation; nothing is encoded.

Readers that have the old one open keep it. When to compact is the caller's choice; `is_due` says
when deltas have grown large.
"""

import time
from dataclasses import replace
from pathlib import Path

from relevance.bundle import read_bundle
from relevance.errors import BadGeneration
from relevance.generation import StorePaths, read_current
from service.refresh.job import RefreshReport, run
from service.refresh.plan import Extent, Options
from service.refresh.refresh import silently
from service.refresh.rows import Progress
from service.refresh.spool import spool_generation
from service.refresh.target import make_target
from service.store.generation_reader import GenerationReader
from service.store.publish import work_folder, writing

DUE_SHARE = 0.2  # of the base's items


def is_due(live: GenerationReader, *, share: float = DUE_SHARE) -> bool:
    """Whether so many changes lie over the base that a new one pays."""
    return len(live.overlay) > share * live.manifest.items


def compact(store: Path, *, progress: Progress = silently) -> RefreshReport:
    """Make a new generation of the current one and its deltas, and switch to it.

    Changes appended meanwhile are carried over. Raises what a refresh raises.
    """
    started = time.monotonic()
    paths = StorePaths(store)
    with writing(paths):
        place = paths.bundle(read_current(paths).bundle)
        target = make_target(paths, place, read_bundle(place), workers=1)
        if target.live is None:
            raise BadGeneration(f"{store}: the current generation is not its bundle's")
        spool = spool_generation(work_folder(paths) / "spool", target.live)
        options = Options(extent=Extent.COMPACT)
        report = run(target, spool, options=options, progress=progress)
    return replace(report, seconds=time.monotonic() - started)
