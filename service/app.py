"""The application: routes, error envelope, body limit, and a lifespan that opens everything once.

Importing this opens nothing; `uvicorn --factory service.app:create_app` serves it.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.types import Lifespan

from service.body_limit import BodyLimit
from service.error_handlers import add_error_handlers
from service.routes import explain, health, score
from service.routes.request import Open
from service.schemas import ExplainRequest, ScoreRequest
from service.serving import Serving, open_serving
from service.settings import Settings, read_settings

OpenServing = Callable[[Settings], AbstractContextManager[Serving]]


class RelevanceApi(FastAPI):
    """FastAPI, whose OpenAPI also shows the bodies that routes read themselves."""

    def openapi(self) -> dict[str, Any]:
        """The document, its request schemas added."""
        document = super().openapi()
        _, definitions = models_json_schema(
            [(ScoreRequest, "validation"), (ExplainRequest, "validation")],
            ref_template="#/components/schemas/{model}",
        )
        document["components"]["schemas"] |= definitions["$defs"]
        return document


def create_app(settings: Settings | None = None, *, opened: OpenServing = open_serving) -> FastAPI:
    """The service with these settings, or with those of the environment.

    `opened` opens what is served; tests hand in their own.
    """
    settings = settings or read_settings()
    app = RelevanceApi(
        title="Query-item relevance",
        lifespan=_lifespan(settings, opened),
        redirect_slashes=False,
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    add_error_handlers(app)
    for route in (score, explain, health):
        app.include_router(route.router)
    return app


def _lifespan(settings: Settings, opened: OpenServing) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cores = len(os.sched_getaffinity(0))
        with opened(settings) as serving:
            app.state.open = Open(serving, CapacityLimiter(cores), CapacityLimiter(cores))
            yield
            del app.state.open

    return lifespan
