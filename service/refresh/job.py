"""One refresh at work: write the rows, verify them, then append a delta or publish a generation."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from relevance.errors import BadInput
from service.item_codec import ItemCodec
from service.refresh.append import append_rows
from service.refresh.beside import (
    Index,
    Settings,
    check_beside,
    make_beside,
    settings_before,
)
from service.refresh.encode import EncodingPool, Pace, open_codec, open_threads
from service.refresh.plan import Options, Outcome, Plan, make_plan
from service.refresh.process_pool import MOST_THREADS, open_processes
from service.refresh.ray_pool import open_ray_pool
from service.refresh.resume import resuming, work_key
from service.refresh.rows import NOTE, Group, Progress, RowSource, noted, write_rows
from service.refresh.spool import HASHES, Spool
from service.refresh.target import Target
from service.refresh.verify import verify, verify_rows
from service.store.build import seal_generation
from service.store.generation_reader import GenerationReader, open_generation
from service.store.publish import carry_with, name_generation, publish


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did; `bytes` is the size of the embeddings it wrote.

    `cut` and `no_text` count among the items it wrote; `resumed` of those a former run had
    finished. `beside` names what was made for search and FAISS; `damage` says why nothing of the
    generation that was current could be used.
    """

    plan: Plan
    generation_id: str
    sequence: int
    written: int
    encoded: int
    resumed: int
    cut: int
    no_text: int
    bytes: int
    seconds: float
    beside: tuple[str, ...] = ()
    damage: str | None = None


def run(target: Target, spool: Spool, *, options: Options, progress: Progress) -> RefreshReport:
    """Do what the differences between a spool and the live generation ask for."""
    plan = make_plan(spool, target.live, target.bundle, options)
    job = Job(target, plan, options)
    if plan.outcome is Outcome.NOTHING:
        shutil.rmtree(spool.folder)
        return replace(job.report(), beside=job.beside_live())
    places = np.arange(len(spool))
    if plan.outcome is Outcome.DELTA:
        places = np.flatnonzero(plan.differences.is_changed)
    key = work_key(target.bundle, spool, places, options.extent)
    with resuming(spool, key) as resumed:
        return job.finish(resumed, places, progress)


@dataclass(frozen=True, slots=True)
class Job:
    """One refresh with all it works on."""

    target: Target
    plan: Plan
    options: Options

    def finish(
        self, spool: Spool, places: Int64[np.ndarray, " places"], progress: Progress
    ) -> RefreshReport:
        """Write the rows, verify them and let the store show them."""
        paths, bundle = self.target.paths, self.target.bundle
        wanted = settings_before(paths, self.options.index)
        if self.plan.outcome is Outcome.GENERATION:
            check_beside(paths, bundle, wanted)
        codec = open_codec(self.target.place, self.target.bundle)
        resumed = noted(spool.folder)
        tally = _Tally()
        with self._pool(codec) as pool:
            source = RowSource(
                spool=spool,
                rows=self.plan.differences.rows,
                live=self.target.live,
                bundle=self.target.bundle,
                pool=pool,
                pace=Pace(self.options.items_per_second),
            )
            digests = write_rows(source, places, progress=tally.counting(progress))
        if self.plan.outcome is Outcome.DELTA:
            done = self._append(spool, places, codec)
            beside = self.beside_live()
        else:
            done, beside = self._publish(spool, codec, digests, wanted)
        return replace(
            self.report(),
            generation_id=done.generation_id,
            sequence=done.sequence,
            written=len(places),
            encoded=tally.encoded,
            resumed=resumed,
            cut=tally.cut,
            no_text=tally.no_text,
            bytes=len(places) * self.target.bundle.rows * self.target.bundle.row_bytes,
            beside=beside,
        )

    def report(self) -> RefreshReport:
        """The report of a job that wrote nothing."""
        return RefreshReport(
            plan=self.plan,
            generation_id="" if self.target.live is None else self.target.live.generation_id,
            sequence=0 if self.target.live is None else self.target.live.sequence,
            **dict.fromkeys(("written", "encoded", "resumed", "cut", "no_text", "bytes"), 0),
            seconds=0.0,
            beside=(),
            damage=self.target.damage,
        )

    def beside_live(self) -> tuple[str, ...]:
        """Make what the generation that stays current lacks beside it; the kinds made."""
        if self.target.live is None or self.options.index is not Index.WANTED:
            return ()
        wanted = settings_before(self.target.paths, self.options.index)
        return make_beside(self.target.paths, self.target.live, wanted)

    def _pool(self, codec: ItemCodec) -> AbstractContextManager[EncodingPool]:
        place, bundle, workers = self.target.place, self.target.bundle, self.target.workers
        if self.options.ray is not None:
            return open_ray_pool(place, bundle, workers=workers, address=self.options.ray)
        if workers > MOST_THREADS:
            return open_processes(place, bundle, lanes=workers)
        return open_threads(codec, lanes=workers)

    def _append(
        self, spool: Spool, places: Int64[np.ndarray, " places"], codec: ItemCodec
    ) -> GenerationReader:
        assert self.target.live is not None  # else there is nothing to append to
        verify_rows(spool, places, self.target.bundle, codec)
        removed = self.plan.differences.removed
        append_rows(
            self.target.paths,
            spool,
            places,
            removed,
            live=self.target.live,
            bundle=self.target.bundle,
        )
        return self.target.live.latest()

    def _publish(
        self,
        spool: Spool,
        codec: ItemCodec,
        digests: dict[str, list[int]],
        wanted: Mapping[str, Settings],
    ) -> tuple[GenerationReader, tuple[str, ...]]:
        began = self.target.began
        generation_id = f"{began:%Y%m%d-%H%M%S-%f}-{self.target.bundle.bundle_id[:8]}"
        folder = spool.folder
        seal_generation(
            folder,
            bundle=self.target.bundle,
            generation_id=generation_id,
            created=began.isoformat(timespec="seconds"),
            digests=digests,
        )
        written = open_generation(folder, self.target.bundle)
        _refuse_textless(written)
        verify(written, codec)
        beside = make_beside(self.target.paths, written, wanted)
        for name in (HASHES, NOTE):  # until here a killed run is gone on with
            (folder / name).unlink()
        place = name_generation(self.target.paths, folder)
        if self.target.approve is not None:
            self.target.approve(open_generation(place, self.target.bundle))
        publish(
            self.target.paths,
            generation_id,
            since=self.target.since,
            carry=carry_with(codec, self.target.bundle),
        )
        return open_generation(place, self.target.bundle), beside


def _refuse_textless(written: GenerationReader) -> None:
    """A catalogue in which nothing can be found is some other file, or its columns' names differ.

    Raises `BadInput` before anything is published.
    """
    if len(written.token_counts) and not np.any(written.token_counts):
        read = ", ".join(str(written.manifest.item_text).split("_"))
        raise BadInput(
            f"items: expected texts to encode (this bundle reads: {read}), got "
            f"{len(written.token_counts):,} items without any"
        )


class _Tally:
    """Counts what passes."""

    def __init__(self) -> None:
        self.encoded = self.cut = self.no_text = 0

    def counting(self, progress: Progress) -> Progress:
        """The same progress, counted."""

        def counted(groups: Iterable[Group], items: int) -> Iterator[Group]:
            for group in progress(groups, items):
                self.encoded += group.encoded_now
                self.cut += int(np.count_nonzero(group.encoded.truncated))
                self.no_text += int(np.count_nonzero(group.encoded.token_counts == 0))
                yield group

        return counted
