"""A generation's changes in their order: which segments there are, appending, merging small ones.

Sequences count changes. `<first>-<last>.delta` takes its reader from any sequence in
[first - 1, last) to `last`: applying a change twice leaves it as it was, so a merged segment may
overlap what a reader has applied already.
"""

import fcntl
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from relevance.atomic import sync_folder
from relevance.errors import BadGeneration, Unavailable
from relevance.generation import Current, StorePaths, read_current, read_manifest
from service.item_codec import EncodedItems
from service.store.item_records import SCHEMA
from service.store.segment import Changes, Segment, read_segment, write_segment

SEGMENTS_UNTIL_MERGE = 64
_NAME = re.compile(r"^(\d{12})-(\d{12})\.delta$")


class SegmentFile(NamedTuple):
    """A segment's place in the order; both sequences are inside it."""

    first: int
    last: int
    path: Path


@contextmanager
def appending(store: StorePaths) -> Iterator[Current | None]:
    """Hold the lock of appends and of the switch; yields what is current while it is held.

    Held for moments, so it is waited for. Raises `Unavailable` where the disk fails.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        with store.delta_lock.open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield read_current(store) if store.current.exists() else None
    except OSError as fault:
        raise Unavailable(f"{store.root}: cannot be written: {fault}") from fault


def append_changes(store: StorePaths, changes: Changes, *, bundle_id: str) -> int:
    """Append changes to the current generation, durably; returns its new sequence.

    Raises `BadGeneration` where the current generation is another bundle's.
    """
    with appending(store):
        return append_to(store, read_current(store).generation, [changes], bundle_id=bundle_id)


def append_to(
    store: StorePaths, generation_id: str, several: Iterable[Changes], *, bundle_id: str
) -> int:
    """Append to a generation while `appending` is held (or nobody knows it yet)."""
    manifest = read_manifest(store.generation(generation_id))
    if manifest.bundle_id != bundle_id:
        raise BadGeneration(
            f"{generation_id}: expected changes encoded by bundle {manifest.bundle_id}, "
            f"got changes encoded by {bundle_id}"
        )
    folder = store.deltas(generation_id)
    files = segment_files(folder)
    last = files[-1].last if files else 0
    for changes in several:
        if len(changes):
            first, last = last + 1, last + len(changes)
            renumbered = replace(changes, sequences=None)
            _write(folder, renumbered, generation_id, bundle_id, first, last)
    if len(segment_files(folder)) > SEGMENTS_UNTIL_MERGE:
        merge_newest(folder)
    return last


def segment_files(folder: Path) -> list[SegmentFile]:
    """The fewest segments that lead from the base to the newest sequence, in order.

    Raises `BadGeneration` where some are missing in between.
    """
    found = sorted(_present(folder), key=lambda file: (file.first, -file.last))
    chain: list[SegmentFile] = []
    reached = 0
    while any(file.last > reached for file in found):
        reachable = [file for file in found if file.first <= reached + 1 and file.last > reached]
        if not reachable:
            raise BadGeneration(f"{folder}: expected a segment from sequence {reached + 1} on")
        chain.append(max(reachable, key=lambda file: file.last))
        reached = chain[-1].last
    return chain


def newest_sequence(store: StorePaths, generation_id: str) -> int:
    """The sequence of a generation's newest change; 0 where there is none."""
    files = segment_files(store.deltas(generation_id))
    return files[-1].last if files else 0


def unseen_since(folder: Path, sequence: int) -> float | None:
    """When the oldest change after `sequence` was written, in seconds since the epoch.

    None where there is none. Of merged segments the merge counts, which is later.
    """
    try:
        unseen = [file for file in segment_files(folder) if file.last > sequence]
        return unseen[0].path.stat().st_mtime if unseen else None
    except (OSError, BadGeneration):  # merged or removed under our eyes: nothing can be told
        return None


def merge_newest(folder: Path) -> None:
    """Merge the newest segments, as many as keep each merge about as large as what is merged.

    Readers that have the small ones mapped keep them; new ones find the merged one alone.
    """
    files = segment_files(folder)
    merged, size = [files[-1]], files[-1].path.stat().st_size
    for file in reversed(files[:-1]):
        if file.path.stat().st_size > 2 * size:
            break
        merged.insert(0, file)
        size += file.path.stat().st_size
    if len(merged) < 2:
        return
    segments = [read_segment(file.path) for file in merged]
    header = segments[0].header
    _write(
        folder,
        join_segments(segments),
        header.generation_id,
        header.bundle_id,
        merged[0].first,
        merged[-1].last,
    )
    for file in merged:
        file.path.unlink()
    sync_folder(folder)


def join_segments(segments: Sequence[Segment], *, after: int = 0) -> Changes:
    """One set of changes that has the effect of several, the last word on each id kept.

    Changes up to the sequence `after` are left out.
    """
    last_word: dict[str, tuple[int, int]] = {}
    for at, segment in enumerate(segments):
        is_wanted = segment.sequences() > after
        for entry, item_id in enumerate(segment.columns["item_id"].to_pylist()):
            if is_wanted[entry]:
                last_word[item_id] = (at, entry)
    kept = [
        np.array(sorted(entry for of, entry in last_word.values() if of == at), np.int64)
        for at in range(len(segments))
    ]
    parts = [changes_at(segment, at) for segment, at in zip(segments, kept, strict=True)]
    return concatenate(parts)


def changes_at(segment: Segment, entries: Int64[np.ndarray, " entries"]) -> Changes:
    """Some of a segment's changes, puts before removals."""
    puts = entries[entries < segment.header.puts]
    taken = segment.columns.take(pa.array(entries))
    return Changes(
        records=_batch(taken[: len(puts)].select(SCHEMA.names)),
        encoded=EncodedItems(
            segment.embeddings()[puts],
            segment.counts("token_count")[puts],
            segment.counts("truncated")[puts].astype(np.bool_),
        ),
        text_hashes=segment.hashes[puts, 0],
        removed=taken["item_id"][len(puts) :].to_pylist(),
        source_versions=taken["source_version"][: len(puts)].to_numpy(),
        sequences=segment.sequences()[entries],
    )


def concatenate(several: Sequence[Changes]) -> Changes:
    """Several numbered changes, of which no two speak of one id, as one."""
    puts = [changes.numbered[: len(changes.records)] for changes in several]
    removals = [changes.numbered[len(changes.records) :] for changes in several]
    return Changes(
        records=_batch(pa.Table.from_batches([c.records for c in several], SCHEMA)),
        encoded=EncodedItems(
            np.concatenate([c.encoded.embeddings for c in several]),
            np.concatenate([c.encoded.token_counts for c in several]),
            np.concatenate([c.encoded.truncated for c in several]),
        ),
        text_hashes=np.concatenate([c.text_hashes for c in several]),
        removed=[item_id for changes in several for item_id in changes.removed],
        source_versions=np.concatenate([changes.versions for changes in several]),
        sequences=np.concatenate([*puts, *removals]),
    )


def _write(
    folder: Path, changes: Changes, generation_id: str, bundle_id: str, first: int, last: int
) -> None:
    path = folder / f"{first:012d}-{last:012d}.delta"
    write_segment(
        path, changes, generation_id=generation_id, bundle_id=bundle_id, first=first, last=last
    )


def _present(folder: Path) -> Iterator[SegmentFile]:
    if folder.is_dir():
        for path in folder.iterdir():
            if match := _NAME.match(path.name):
                yield SegmentFile(int(match[1]), int(match[2]), path)


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], SCHEMA)
