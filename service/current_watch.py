"""Follows CURRENT: opens what it names beside what answers now, then swaps one reference.

Opening, warming and reading in happen in a thread of their own while requests go on. A pair that
cannot be opened is refused and the old one stays. When to look is `lifecycle.py`'s.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from anyio import CapacityLimiter, to_thread

from relevance.generation import StorePaths
from service.run_folder import Phase, RunFolder, WorkerState
from service.self_check import GoldenPair, golden_pair
from service.serving import Pair, latest, open_pair, read_in, warm
from service.settings import Settings
from service.snapshot import Snapshot
from service.store.delta_log import unseen_since
from service.watched_file import WatchedFile

STAYED = "update_refused"  # the `degraded` reason
TOGETHER = 1.0  # seconds to wait for the other workers, so that all swap at about one moment
GLANCE = 0.02  # seconds between two looks at what they have prepared

Outcome = TypeVar("Outcome")
log = logging.getLogger(__name__)


class OpenPair(Protocol):
    """How the next pair is opened: `open_pair`, or a test's own."""

    def __call__(self, settings: Settings, *, previous: Pair | None = None) -> Pair:
        """Open what CURRENT names; raises where something is not right."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A pair that can answer at once."""

    pair: Pair
    golden: GoldenPair


def prepare(settings: Settings, opened: OpenPair, previous: Prepared | None = None) -> Prepared:
    """Open what CURRENT names, read it in and warm it; takes over what did not change."""
    pair = opened(settings, previous=None if previous is None else previous.pair)
    if previous is not None and pair.name == previous.pair.name:
        return replace(previous, pair=pair)
    old = None if previous is None else previous.pair.snapshot
    if old is None or old.items.generation_id != pair.snapshot.items.generation_id:
        read_in(pair, max_bytes=settings.pretouch_bytes)
    if previous is None or old is None or old.encoder is not pair.snapshot.encoder:
        warm(pair)
        return Prepared(pair, golden_pair(pair.snapshot))
    return Prepared(pair, previous.golden)


class CurrentWatch:
    """What this worker answers with, and how it comes to the next.

    `answer_with` is called on the event loop with each new snapshot. `refused` says why the newest
    CURRENT is not served; `next_name` is the pair prepared and not yet swapped in.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        first: Prepared,
        run: RunFolder,
        answer_with: Callable[[Snapshot], None],
        opened: OpenPair = open_pair,
    ) -> None:
        self._settings = settings
        # The first look opens CURRENT again: it may have changed since `first` was opened.
        self._current = WatchedFile(StorePaths(settings.store).current)
        self._opened = opened
        self._run = run
        self._answer_with = answer_with
        self._thread = CapacityLimiter(1)
        self.prepared = first
        self.refused: str | None = None
        self.next_name = ""
        self.nudge = 0
        self.swaps = 0
        self.delta_lags: list[float] = []  # seconds; whoever counts them empties it
        self.refusals = 0

    @property
    def snapshot(self) -> Snapshot:
        """What requests are answered from, with the reasons why it is not the newest."""
        snapshot = self.prepared.pair.snapshot
        if self.refused is None:
            return snapshot
        return replace(snapshot, degraded=(*snapshot.degraded, STAYED))

    async def look(self, announce: Callable[[], None]) -> None:
        """Follow CURRENT, a nudge or new deltas if there are any; never raises for a bad pair.

        `announce` makes this worker's state known to the others.
        """
        nudge, is_due = self._run.last_nudge(), self._current.look()
        try:
            if is_due or nudge != self.nudge:
                await self._follow_current(announce)
            else:
                await self._follow_deltas()
        except Exception as fault:  # whatever is wrong with the new pair, the old one answers
            self._refuse(fault)
            announce()
        if nudge != self.nudge:
            self.nudge = nudge
            announce()

    async def _follow_current(self, announce: Callable[[], None]) -> None:
        following = await self._in_thread(
            lambda: prepare(self._settings, self._opened, self.prepared)
        )
        if following.pair.name != self.prepared.pair.name:
            self.next_name = following.pair.name
            announce()
            await wait_for_others(self._run, self.next_name)
        self._swap(following)
        announce()

    async def _follow_deltas(self) -> None:
        if self.refused is not None:
            return
        pair = self.prepared.pair
        items = await self._in_thread(lambda: latest(pair.snapshot.items))
        if items is not pair.snapshot.items:
            newer = replace(pair, snapshot=replace(pair.snapshot, items=items))
            self._swap(replace(self.prepared, pair=newer))

    def _swap(self, following: Prepared) -> None:
        is_new = following.pair.name != self.prepared.pair.name
        old, new = self.prepared.pair.snapshot, following.pair.snapshot
        has_new_index = new.candidates is not old.candidates  # made since, for the same items
        if is_new and new.items.generation_id == old.items.generation_id:
            self._note_lag(old.items.generation_id, old.items.sequence)
        was_refused, self.refused = self.refused, None
        self._current.succeeded()
        self.prepared, self.next_name = following, ""
        if is_new or has_new_index or was_refused is not None:
            self._answer_with(self.snapshot)
        if is_new:
            self.swaps += 1
            log.info("now answering from %s", following.pair.name)

    def _note_lag(self, generation_id: str, sequence: int) -> None:
        """How long the oldest of the changes that can be scored from now on was on disk."""
        written = unseen_since(StorePaths(self._settings.store).deltas(generation_id), sequence)
        if written is not None:
            self.delta_lags.append(max(time.time() - written, 0.0))

    def _refuse(self, fault: Exception) -> None:
        self.refused = f"{type(fault).__name__}: {fault}".splitlines()[0]
        self.refusals += 1
        self._current.failed()
        self.next_name = ""
        self._answer_with(self.snapshot)
        log.error("staying with %s: %s", self.prepared.pair.name, self.refused)

    async def _in_thread(self, work: Callable[[], Outcome]) -> Outcome:
        # A worker that ends does not wait for a big generation that nobody will see.
        return await to_thread.run_sync(work, limiter=self._thread, abandon_on_cancel=True)


async def wait_for_others(run: RunFolder, name: str, *, patience: float = TOGETHER) -> None:
    """Return when every other living worker could answer from `name` too, or patience is over."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if all(_could_answer(state, name) for state in run.states()):
            return
        await asyncio.sleep(GLANCE)


def _could_answer(state: WorkerState, name: str) -> bool:
    if state.process_id == os.getpid() or state.phase is not Phase.READY:
        return True
    serving = f"{state.bundle}/{state.generation}/{state.sequence}"
    return name in (state.prepared, serving) or state.refused is not None
