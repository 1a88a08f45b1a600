"""Killed anywhere, short of disk, traced: what is current stays whole; the next run completes.

`make kill-drill` kills 200 times by the same test; a plain run 30 times.
"""

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from relevance.bundle import BundleManifest
from relevance.domain import Item
from relevance.errors import Unavailable
from relevance.generation import EMBEDDINGS, MANIFEST, PARTS, StorePaths, read_current
from service.candidates.index import KIND, CandidateIndex, read_candidates
from service.derived import is_derived
from service.refresh.beside import Index
from service.refresh.plan import Extent, Options
from service.refresh.refresh import refresh
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.killed_refresh import killed, moments_of
from tests.service.shown import read, shown

EXTENTS = (Extent.CHANGED, Extent.ALL, Extent.COMPACT)
KILLS = int(os.environ.get("KILLS", "30"))  # seeded moments, shared among the ways to refresh
EDITED = (
    Item("B001", "Other oak"),
    *CATALOGUE[2:],
    *(Item(f"new-{at}", f"Oak lamp {at}") for at in range(9)),
)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def index_of(store: Path, bundle: BundleManifest) -> CandidateIndex | None:
    """The candidate index beside what is current, read and checked; None where there is none."""
    paths, current = StorePaths(store), read(store, bundle)
    if not is_derived(paths, KIND, current.generation_id):
        return None
    return read_candidates(paths, current.manifest)


@pytest.mark.slow
@pytest.mark.parametrize(("extent", "share"), list(zip(EXTENTS, range(3), strict=True)))
def test_a_refresh_killed_at_any_moment_leaves_old_or_new_and_the_next_one_completes(
    store_folder, bundle_folder, bundle, tmp_path, extent, share
) -> None:
    """Seeded moments for each way to refresh; nothing in between is ever shown, or half indexed."""
    items = write_catalogue(tmp_path / "items.jsonl", EDITED)
    shutil.copytree(store_folder, tmp_path / "whole")
    old = shown(read(store_folder, bundle))
    moments = moments_of(bundle_folder, items, tmp_path / "whole", extent)
    new = shown(read(tmp_path / "whole", bundle))
    assert new != old
    with_index = Options(index=Index.WANTED)
    outcomes = []
    for seed in range(share, KILLS, len(EXTENTS)):
        store = tmp_path / f"store-{seed}"
        shutil.copytree(store_folder, store)
        base = StorePaths(store).generation(read_current(StorePaths(store)).generation)
        before = bytes_of(base)
        moment = random.Random(f"{extent}{seed}").randrange(1, moments)

        code = killed(bundle_folder, items, store, extent, moment)

        assert code == -signal.SIGKILL
        now = shown(read(store, bundle))
        assert now in (old, new), f"moment {moment}"
        outcomes.append(now == new)
        assert bytes_of(base) == before
        index_of(store, bundle)
        refresh(bundle=bundle_folder, items=items, store=store, options=with_index)
        assert shown(read(store, bundle)) == new
        assert index_of(store, bundle) is not None
        assert not list(store.glob("*/.*"))
        shutil.rmtree(store)
    told = f"{extent}: killed {len(outcomes)} times in {moments} moments, {sum(outcomes)} after"
    sys.stdout.write(f"{told} the switch\n")
    assert False in outcomes


@pytest.mark.slow
def test_a_disk_too_small_is_told_before_encoding_and_room_is_all_it_takes(
    store_folder, bundle_folder, bundle, tmp_path
) -> None:
    """The limit on a file's size stands for the disk: the kernel refuses the reservation."""
    shutil.copytree(store_folder, tmp_path / "store")
    items = write_catalogue(tmp_path / "items.jsonl", EDITED)
    before = StorePaths(tmp_path / "store").current.read_bytes()
    size = (1 << 14, resource.RLIM_INFINITY)

    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, "
        f"({size[0]}, {size[1]})); from relevance.cli import main; main()"
    )
    words = ["--bundle", bundle_folder, "--items", items, "--store", tmp_path / "store", "--full"]
    run = subprocess.run(
        [sys.executable, "-c", code, "refresh", *map(str, words), "--workers", "1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == Unavailable.exit_code, run.stderr
    assert "cannot be written" in run.stderr
    assert StorePaths(tmp_path / "store").current.read_bytes() == before
    report = refresh(
        bundle=bundle_folder, items=items, store=tmp_path / "store", options=Options(Extent.ALL)
    )
    assert report.written == len(EDITED)


class Recorder:
    """Notes, in order, what is forced to the disk and what is renamed, by watching calls."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_name
        if event == "call" and name in ("sync_file", "sync_folder"):
            self.events.append(("sync", str(frame.f_locals["path"])))
        elif event == "call" and name == "rename" and "pathlib" in frame.f_code.co_filename:
            source, target = frame.f_locals["self"], frame.f_locals["target"]
            self.events.append(("rename", f"{source} -> {target}"))
        elif event == "c_call" and getattr(argument, "__name__", "") == "replace":
            found = frame.f_locals
            if "temporary" in found and "path" in found:
                self.events.append(("rename", f"{found['temporary']} -> {found['path']}"))


def test_files_are_forced_to_the_disk_before_they_are_named_and_folders_after(
    bundle_folder, bundle, tmp_path
) -> None:
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE[:5])
    store = StorePaths(tmp_path / "store")
    recorder = Recorder()

    sys.setprofile(recorder)
    try:
        refresh(bundle=bundle_folder, items=items, store=store.root)
    finally:
        sys.setprofile(None)

    place = store.generation(read_current(store).generation)
    named = next(at for at, (_, what) in enumerate(recorder.events) if what.endswith(f"> {place}"))
    work = recorder.events[named][1].split(" -> ")[0]
    synced = {what for kind, what in recorder.events[:named] if kind == "sync"}
    assert {f"{work}/{name}" for name in (*PARTS, MANIFEST)} | {work} <= synced
    assert recorder.events[named + 1] == ("sync", str(place.parent))
    switched = next(
        at for at, (_, what) in enumerate(recorder.events) if what.endswith(f"> {store.current}")
    )
    assert switched > named + 1
    temporary = recorder.events[switched][1].split(" -> ")[0]
    assert recorder.events[switched - 1] == ("sync", temporary)
    assert recorder.events[switched + 1] == ("sync", str(store.root))


@pytest.mark.slow
@pytest.mark.network  # needs Debian's strace
def test_the_kernel_sees_write_sync_rename_sync(bundle_folder, bundle, tmp_path) -> None:
    items = write_catalogue(tmp_path / "items.jsonl", CATALOGUE[:5])
    store = StorePaths(tmp_path / "store")
    words = map(str, (bundle_folder, items, store.root, Extent.CHANGED.value))
    trace = tmp_path / "trace"
    calls = "trace=write,pwrite64,fsync,fdatasync,rename,renameat,renameat2"

    subprocess.run(
        ["strace", "-f", "-y", "-s", "0", "-o", str(trace), "-e", calls, sys.executable, "-m"]
        + ["tests.service.killed_refresh", *words],
        check=True,
        capture_output=True,
    )

    lines = trace.read_text().splitlines()
    place = store.generation(read_current(store).generation)
    named = next(at for at, line in enumerate(lines) if re.search(rf'rename.*"{place}"', line))
    work = re.search(r'rename\w*\(.*?"([^"]+)"', lines[named]).group(1)  # type: ignore[union-attr]
    last_write = max(
        at
        for at, line in enumerate(lines)
        if re.search(rf" p?write\w*\(\d+<{work}/{EMBEDDINGS}>", line)
    )
    first_sync_after = next(
        at
        for at, line in enumerate(lines)
        if at > last_write and "fsync" in line and f"<{work}/{EMBEDDINGS}>" in line
    )
    assert last_write < first_sync_after < named
    assert any("fsync" in line and f"<{work}>" in line for line in lines[:named])
    assert "fsync" in lines[named + 1]
    assert f"<{place.parent}>" in lines[named + 1]
    switched = next(at for at, line in enumerate(lines) if f'"{store.current}"' in line)
    assert switched > named
    assert "fsync" in lines[switched - 1]
    assert f"<{store.root}>" in lines[switched + 1]
