"""The application: routes, middlewares, and a lifespan that opens everything once.

Importing this opens nothing; `uvicorn --factory service.app:create_app` serves it, `ellm serve`
adds what several workers need in common.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import msgspec
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI

from service import wire_status
from service.admission import Admission, Gate, Queues
from service.api_keys import KeyRing
from service.body_limit import BodyLimit
from service.console.router import add_console
from service.current_watch import CurrentWatch, OpenPair, Prepared, prepare
from service.error_handlers import add_error_handlers
from service.experiments.opening import open_experiments
from service.explanations import Explanations
from service.fair_queue import FairQueue
from service.garbage import keep_modules
from service.keeping import Keeping, missing_texts
from service.lifecycle import Lifecycle, following_signals
from service.limits import Limits
from service.open_graphs import OpenGraphs
from service.open_service import OpenService
from service.openapi import REFERENCE, add_wire
from service.rate_limits import RateLimits
from service.routes import admin, explain, health, info, metrics, rerank, root, score, search
from service.run_folder import Phase, RunFolder, temporary_run_folder
from service.scrubbing import Scrubbing
from service.serving import open_pair
from service.settings import Settings, read_settings
from service.snapshot import Snapshot
from service.teachers import read_explanations
from service.telemetry.log import RequestLog, configure
from service.telemetry.metrics import Metrics
from service.telemetry.observation import Observation, ObservedAdmission, Telemetry
from service.telemetry.traces import open_traces

ROUTES = (score, rerank, search, explain, health, info, admin, metrics, root)
STATUS_REPLIES = (
    wire_status.RootReply,
    wire_status.Alive,
    wire_status.Readiness,
    wire_status.HealthReply,
    wire_status.InfoReply,
    wire_status.ModelsReply,
    wire_status.WorkersReply,
)
LEAST_SLOTS = 2  # a request of five candidates need not wait for one of five thousand
log = logging.getLogger(__name__)

OpenExplanations = Callable[[Settings], Explanations]


class RelevanceApi(FastAPI):
    """FastAPI, whose OpenAPI also shows the bodies that routes read and write themselves."""

    def openapi(self) -> dict[str, Any]:
        """The document, with every schema it refers to."""
        document = super().openapi()
        add_wire(document)
        _, schemas = msgspec.json.schema_components(STATUS_REPLIES, ref_template=REFERENCE)
        document["components"]["schemas"] |= schemas
        return document


def create_app(
    settings: Settings | None = None,
    *,
    opened: OpenPair | None = None,
    explanations: OpenExplanations | None = None,
) -> FastAPI:
    """The service with these settings, or with those of the environment.

    `opened` opens a bundle with its items, `explanations` the teachers; tests hand in their own.
    """
    is_process = settings is None  # a server's, not a test's
    if settings is None:
        settings = read_settings()
        configure(settings)
    opened = opened or partial(open_pair, graphs=OpenGraphs())
    opening = _Opening(settings, opened, explanations or read_explanations)
    app = RelevanceApi(
        title="Query-item relevance", lifespan=opening.lifespan, redirect_slashes=False
    )
    add_error_handlers(app)
    for route in ROUTES:
        app.include_router(route.router)
    if settings.console:
        add_console(app, settings)
    # The last one added is the first a request meets.
    app.add_middleware(
        Admission,
        gate=lambda: _gate(app),
        body_timeout=settings.body_timeout,
        observe=ObservedAdmission(),
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(
        Observation,
        telemetry=lambda: getattr(app.state, "telemetry", None),
        is_draining=lambda: _is_draining(app),
    )
    if is_process:
        keep_modules()
    return app


def limits_of(settings: Settings) -> Limits:
    """The settings that are limits of one request."""
    named = {field.name for field in fields(Limits)} & set(Settings.model_fields)
    return Limits(**{name: getattr(settings, name) for name in named})


@dataclass(frozen=True, slots=True)
class _Opening:
    """How the service is opened when the server starts, and closed when it stops."""

    settings: Settings
    opened: OpenPair
    explanations: OpenExplanations

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Open everything, answer, close everything."""
        async with AsyncExitStack() as stack:
            run = stack.enter_context(self._run_folder())
            first = await to_thread.run_sync(prepare, self.settings, self.opened)
            service = self._service(run, first)
            stack.callback(service.explanations.close)
            lifecycle = self._lifecycle(run, first, service)
            service.experiments = await open_experiments(
                self.settings,
                stack,
                registry=service.telemetry.registry,
                run=run,
                opened=self.opened,
                slots=slots_of(self.settings),
            )
            telemetry = Telemetry(
                service.telemetry, RequestLog(self.settings), open_traces(self.settings)
            )
            app.state.open, app.state.telemetry = service, telemetry
            stack.callback(telemetry.close)
            keeping = Keeping(self.settings, lambda: service.snapshot.items)
            stack.callback(keeping.close)
            stack.enter_context(Scrubbing(self.settings, run).running())
            await stack.enter_async_context(following_signals(lifecycle))
            await stack.enter_async_context(
                lifecycle.running(partial(_tick, service, telemetry, keeping))
            )
            log.info("ready: %s", first.pair.name)
            yield
            del app.state.open, app.state.telemetry

    def _run_folder(self) -> AbstractContextManager[RunFolder]:
        if self.settings.run_folder is None:
            return temporary_run_folder()  # this process alone: another worker has one of its own
        folder = RunFolder(self.settings.run_folder)
        folder.make()
        return nullcontext(folder)

    def _service(self, run: RunFolder, first: Prepared) -> OpenService:
        slots = slots_of(self.settings)
        return OpenService(
            snapshot=first.pair.snapshot,
            limits=limits_of(self.settings),
            explanations=self.explanations(self.settings),
            missing=missing_texts(self.settings),
            telemetry=Metrics(run),
            scoring=CapacityLimiter(slots),
            explaining=CapacityLimiter(self.settings.explain_concurrency),
        )

    def _lifecycle(self, run: RunFolder, first: Prepared, service: OpenService) -> Lifecycle:
        def answer_with(snapshot: Snapshot) -> None:
            if snapshot.bundle.bundle_id != service.snapshot.bundle.bundle_id:
                service.missing = replace(service.missing, write_back=None)  # before, never after
            service.snapshot = snapshot

        settings = self.settings
        store = settings.rate_limit_store
        watch = CurrentWatch(
            settings, first=first, run=run, answer_with=answer_with, opened=self.opened
        )
        lifecycle = Lifecycle(
            settings,
            watch=watch,
            run=run,
            keys=KeyRing(settings.api_keys),
            rates=RateLimits(
                settings.rate_limit, store=None if store is None else store.get_secret_value()
            ),
        )
        service.gate = Gate(lifecycle, _queues(settings))
        return lifecycle


def slots_of(settings: Settings) -> int:
    """How many requests one worker computes at once."""
    share = len(os.sched_getaffinity(0)) // settings.workers
    return settings.concurrency or max(LEAST_SLOTS, share)


def _queues(settings: Settings) -> Queues:
    bounded = partial(FairQueue, waiting=settings.max_queue, max_wait=settings.max_wait_ms / 1000)
    return Queues(
        scoring=bounded(slots=slots_of(settings)),
        explaining=bounded(slots=settings.explain_concurrency),
    )


def _tick(service: OpenService, telemetry: Telemetry, keeping: Keeping) -> None:
    """What is done every so often beside the requests."""
    write_back = keeping.write_back(service.snapshot.bundle.bundle_id)
    if write_back is not service.missing.write_back:
        service.missing = replace(service.missing, write_back=write_back)
    service.telemetry.lost_lines(telemetry.requests.dropped)
    watch, queues = service.lifecycle.watch, service.queues
    service.telemetry.updated(followed=watch.swaps, refused=watch.refusals)
    service.telemetry.became_visible(watch.delta_lags)
    service.telemetry.watch_queue("scoring", queues.scoring)
    service.telemetry.watch_queue("explaining", queues.explaining)
    service.experiments.tick()
    service.telemetry.flush()


def _gate(app: FastAPI) -> Gate | None:
    service: OpenService | None = getattr(app.state, "open", None)
    return None if service is None else service.gate


def _is_draining(app: FastAPI) -> bool:
    gate = _gate(app)
    return gate is not None and gate.lifecycle.phase is Phase.DRAINING
