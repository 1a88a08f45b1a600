"""What `POST /search` takes and answers; the rest of the wire is `service.wire`'s."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from relevance.domain import Label
from service.wire import DeadlineMs, Id, Provenance, Reply, Request

MAX_TOP_K, MAX_DEPTH = 1000, 10_000


class SearchMethod(StrEnum):
    """exhaustive: every item was scored; candidates: those an index of pooled vectors proposed."""

    EXHAUSTIVE = "exhaustive"
    CANDIDATES = "candidates"


class SearchRequest(Request, frozen=True):
    """A query against the whole catalogue.

    The `depth` likeliest items are scored, the `top_k` best answered; a depth of the catalogue's
    size scores everything. Without a depth the service takes its own.
    """

    query: str
    top_k: Annotated[int, Meta(ge=1, le=MAX_TOP_K)] = 10
    depth: Annotated[int, Meta(ge=1, le=MAX_DEPTH)] | None = None
    deadline_ms: DeadlineMs = None
    generation: Id | None = None
    experiment_key: Id | None = None


class SearchRow(Reply, frozen=True):
    """One item of the catalogue, with the very score `/score` gives it."""

    id: str
    score: float
    label: Label
    truncated: bool


class SearchReply(Provenance, frozen=True):
    """The best items first; equal scores in the catalogue's order.

    `scored` of the `catalogue`'s items with text got an exact score.
    """

    results: list[SearchRow]
    method: SearchMethod
    scored: int
    catalogue: int
    query_truncated: bool
