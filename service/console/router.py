"""The console's paths: `/console` with its files, and `/console/api` with what they ask for.

The files hold nothing secret and are open to all; `service.access` guards `/console/api`. It is for
these pages alone, and so not in the OpenAPI document.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import RedirectResponse

from relevance.aspects import aspects
from relevance.errors import RelevanceError
from service.console.browse import browse_reply
from service.console.compared import Compared, open_compared, state_of
from service.console.guard import check_site
from service.console.labels import LabelBook
from service.console.pages import PAGE, page_reply
from service.console.pair import pair_reply
from service.console.ranked import rank_reply
from service.console.reasons import label_reply, reasons_reply
from service.console.wire import (
    MAX_LISTED,
    BrowseRequest,
    ConsoleInfo,
    LabelledReply,
    LabelledRequest,
    LabelReply,
    LabelRequest,
    PairRequest,
    RankReply,
    RankRequest,
    ReasonsReply,
    ReasonsRequest,
)
from service.job import Job
from service.open_service import OpenService
from service.replies import Refused
from service.routes.explain import explain_answer
from service.routes.request import BareRoute, answer, service_of
from service.routes.status import opened, reply
from service.serving import item_count
from service.settings import Settings

API = "/console/api"


class ConsoleRoute(BareRoute):
    """A route of `/console/api`: for the console's own pages, and never kept by a browser."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint behind the guard."""
        endpoint = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            check_site(request)
            response = await endpoint(request)
            response.headers["cache-control"] = "no-store"
            response.headers["x-content-type-options"] = "nosniff"
            return response

        return guarded


pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix=API, route_class=ConsoleRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Console:
    """What the console has beyond the service: a file for labels and a second bundle, if any."""

    labels: LabelBook | None
    compared: Compared | None


def add_console(app: FastAPI, settings: Settings) -> None:
    """Add the console to an application; raises `BadInput` where labels cannot be kept."""
    labels = None if settings.console_labels is None else LabelBook(settings.console_labels)
    if labels is not None:
        labels.check()
    app.state.console = Console(labels, open_compared(settings))
    app.include_router(pages)
    app.include_router(api)


@pages.get("/console")
@pages.get("/console/")
async def page(request: Request) -> Response:
    """The page all views live on; relative addresses in it need the slash at its end."""
    if not request.url.path.endswith("/"):
        return RedirectResponse("console/", status_code=308)
    return _file(request, PAGE)


@pages.get("/console/static/{name}")
async def file(request: Request, name: str) -> Response:
    """A script, a style or a picture."""
    return _file(request, name)


@api.get("/info")
async def info(request: Request) -> Response:
    """What is shown at the head of every view."""
    service, console = opened(request), console_of(request)
    compared, fault = await to_thread.run_sync(state_of, console.compared)
    return reply(_info(service, console, compared=compared, compared_fault=fault))


@api.post("/items")
async def items(request: Request) -> Response:
    """Items whose id or title goes with what was typed."""
    return await answer(request, BrowseRequest, browse_reply, service_of(request).scoring)


@api.post("/pair")
async def pair(request: Request) -> Response:
    """One pair's alignment with all similarities."""
    return await answer(request, PairRequest, pair_reply, service_of(request).scoring)


@api.post("/explain")
async def explain(request: Request) -> Response:
    """The pair with the teacher's reasons, as `POST /explain` gives or streams them."""
    return await explain_answer(request)


@api.post("/rank")
async def ranked(request: Request) -> Response:
    """Candidates under one bundle or two."""
    console = console_of(request)

    def computed(job: Job, body: RankRequest) -> RankReply:
        return rank_reply(job, body, second_of(job, console.compared))

    return await answer(request, RankRequest, computed, service_of(request).scoring)


@api.post("/reasons")
async def reasons(request: Request) -> Response:
    """The teacher's reasons for some rows of a ranking."""
    service = service_of(request)

    def computed(job: Job, body: ReasonsRequest) -> ReasonsReply:
        return reasons_reply(job, body, service.explanations)

    return await answer(request, ReasonsRequest, computed, service.explaining)


@api.post("/labels")
async def label(request: Request) -> Response:
    """Keep a label, or take one back."""
    labels = labels_of(request)

    def computed(job: Job, body: LabelRequest) -> LabelReply:
        return label_reply(job, body, labels)

    return await answer(request, LabelRequest, computed, service_of(request).scoring)


@api.post("/labelled")
async def labelled(request: Request) -> Response:
    """The labels a query's items have."""
    labels = labels_of(request)

    def computed(job: Job, body: LabelledRequest) -> LabelledReply:
        return LabelledReply(labels.labelled(body.query))

    return await answer(request, LabelledRequest, computed, service_of(request).scoring)


def console_of(request: Request) -> Console:
    """What was added to the application."""
    console: Console = request.app.state.console
    return console


def labels_of(request: Request) -> LabelBook:
    """Where labels are kept; refuses (404) where they are not."""
    labels = console_of(request).labels
    if labels is None:
        message = "labels are not kept: start the service with --console-labels PREFIX"
        raise Refused(404, "no_label_file", message)
    return labels


def second_of(job: Job, compared: Compared | None) -> Job | None:
    """The same request for the second bundle; None where there is none that can be opened."""
    if compared is None:
        return None
    try:
        return Job(compared.snapshot(), job.limits, job.deadline)
    except RelevanceError:
        return None  # `info` says why


def _file(request: Request, name: str) -> Response:
    found = page_reply(request, name)
    if found is None:
        raise Refused(404, "not_found", f"the console has no file `{name:.80}`")
    return found


def _info(service: OpenService, console: Console, **second: Any) -> ConsoleInfo:
    snapshot, limits, labels = service.snapshot, service.limits, console.labels
    return ConsoleInfo(
        version=version("ellm-mkd"),
        bundle=snapshot.bundle.bundle_id,
        student=snapshot.bundle.student,
        generation=snapshot.items.generation_id,
        sequence=snapshot.items.sequence,
        items=item_count(snapshot.items),
        threshold=snapshot.bundle.threshold,
        max_query_chars=limits.max_query_chars,
        max_listed=min(limits.max_candidates, MAX_LISTED),
        teachers=len(service.explanations),
        asks_freely=not service.lifecycle.settings.llm_endpoint,
        aspects={aspect.name: aspect.chinese for aspect in aspects()},
        labels=None if labels is None else len(labels),
        labels_file=None if labels is None else labels.path.name,
        **second,
    )
