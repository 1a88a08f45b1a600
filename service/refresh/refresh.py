"""The refresh: spool, compare, encode, verify, then append or switch. A failure leaves CURRENT.

Few changes become a delta on the live generation, many a new generation beside it; either is
checked before it is seen. Reading catalogues is `catalogue_source.py`'s, files are
`service.store`'s.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from relevance.bundle import read_bundle
from relevance.generation import StorePaths
from service.refresh.catalogue_source import read_catalogue_batches
from service.refresh.job import RefreshReport, run
from service.refresh.plan import DEFAULTS, Options, Plan, make_plan
from service.refresh.rows import Group, Progress
from service.refresh.spool import Spool, spool_catalogue
from service.refresh.target import make_target, open_live
from service.store.publish import place_bundle, work_folder, writing


def silently(groups: Iterable[Group], items: int) -> Iterator[Group]:
    """Progress that shows nothing."""
    yield from groups


def plan_refresh(*, bundle: Path, items: Path, store: Path, options: Options = DEFAULTS) -> Plan:
    """What a refresh would do, without writing to the store; needs room for the catalogue."""
    manifest, paths = read_bundle(bundle), StorePaths(store)
    with tempfile.TemporaryDirectory(prefix="ellm-refresh-") as scratch:
        spool = _spool(items, Path(scratch), options)
        return make_plan(spool, open_live(paths, manifest)[0], manifest, options)


def refresh(
    *,
    bundle: Path,
    items: Path,
    store: Path,
    workers: int = 1,
    options: Options = DEFAULTS,
    progress: Progress = silently,
) -> RefreshReport:
    """Bring the store to what the catalogue `items` says, encoding on `workers` cores.

    Raises `BadInput`, `BadBundle`, `BadGeneration` or, where another writer is at work or the
    disk is full, `Unavailable`.
    """
    started = time.monotonic()
    paths = StorePaths(store)
    with writing(paths):
        place, manifest = place_bundle(paths, bundle)
        target = make_target(paths, place, manifest, workers=workers)
        spool = _spool(items, work_folder(paths) / "spool", options)
        report = run(target, spool, options=options, progress=progress)
    return replace(report, seconds=time.monotonic() - started)


def _spool(items: Path, folder: Path, options: Options) -> Spool:
    folder.parent.mkdir(parents=True, exist_ok=True)
    batches = read_catalogue_batches(items, kind=options.kind, scratch=folder.parent)
    return spool_catalogue(folder, options.reading(batches))
