"""Follows the experiments' file and the stores it names, beside the requests.

A file that cannot be used, or names a store that cannot be opened, is refused as a whole: what ran
before goes on. What a variant is stands in `variant.py`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import CapacityLimiter, to_thread

from relevance.errors import BadInput, RelevanceError
from relevance.experiments.plan import Plan, read_plan
from service.current_watch import OpenPair
from service.experiments.experiments import Experiments, Running
from service.experiments.variant import LiveVariant, open_variant
from service.run_folder import RunFolder
from service.settings import Settings
from service.watched_file import WatchedFile

log = logging.getLogger(__name__)


class Following:
    """Keeps `experiments.running` at what the file says; the first reading may raise."""

    def __init__(
        self,
        path: Path,
        settings: Settings,
        experiments: Experiments,
        *,
        run: RunFolder,
        opened: OpenPair,
        most_abandoned: int,
    ) -> None:
        self._path = path
        self._settings = settings
        self._experiments = experiments
        self._run = run
        self._opened = opened
        self._most_abandoned = most_abandoned
        self._thread = CapacityLimiter(1)
        self._file = WatchedFile(path)
        self._checked = time.monotonic()

    def open(self) -> None:
        """Read the file and open its stores for the first time; raises where one is wrong."""
        self._file.look()
        self._experiments.running = self._read(Running())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow while the block runs."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self) -> None:
        """Follow the file where it changed, then every store; never raises for a bad one."""
        if self._file.look():
            await self._follow()
        for variant in self._experiments.running.variants.values():
            await variant.look()
        if time.monotonic() - self._checked > self._settings.self_check_interval:
            self._checked = time.monotonic()
            for variant in self._experiments.running.variants.values():
                await variant.check_now()

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._settings.watch_interval)
            try:
                await self.look()
            except Exception:
                log.exception("a round of following the experiments failed")

    async def _follow(self) -> None:
        experiments = self._experiments
        before = experiments.running
        try:
            running = await to_thread.run_sync(
                self._read, before, limiter=self._thread, abandon_on_cancel=True
            )
        except Exception as fault:  # whatever is wrong with it, what ran goes on
            experiments.refused = f"{type(fault).__name__}: {fault}".splitlines()[0]
            experiments.plans["refused"] += 1
            self._file.failed()
            log.error("experiments stay as they are: %s", experiments.refused)
            return
        self._file.succeeded()
        experiments.running, experiments.refused = running, None
        experiments.plans["followed"] += 1
        log.info("experiments: %s", ", ".join(one.name for one in running.plan.experiments))
        for name, variant in before.variants.items():
            if running.variants.get(name) is not variant:
                variant.close()

    def _read(self, before: Running) -> Running:
        plan = read_plan(self._path)
        variants: dict[str, LiveVariant] = {}
        for name, described in plan.variants.items():
            known = before.variants.get(name)
            if known is not None and known.described == described:
                variants[name] = known
            else:
                variants[name] = self._open(plan, name)
        return Running(plan, variants)

    def _open(self, plan: Plan, name: str) -> LiveVariant:
        described = plan.variants[name]
        try:
            return open_variant(
                name,
                described,
                self._settings,
                run=self._run,
                opened=self._opened,
                most_abandoned=self._most_abandoned,
            )
        except RelevanceError as fault:
            raise BadInput(f"{self._path}: variants.{name}: {fault}") from fault
