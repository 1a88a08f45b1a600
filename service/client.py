"""A typed client of the service; needs only httpx and pydantic.

Retries and deadlines are the caller's.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from relevance.errors import BadInput, Unavailable
from service.schemas import (
    ErrorReply,
    ExplainReply,
    ExplainRequest,
    HealthReply,
    InlineItem,
    ScoreReply,
    ScoreRequest,
)

Reply = TypeVar("Reply", bound=BaseModel)


class RelevanceClient:
    """One connection pool to one service.

    Raises `BadInput` where the service refuses a request and `Unavailable` where it cannot answer.
    """

    def __init__(
        self, url: str, *, timeout_s: float = 10.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def score(
        self,
        query: str,
        item_ids: Sequence[str] = (),
        *,
        items: Sequence[InlineItem] = (),
        top_n: int | None = None,
    ) -> ScoreReply:
        """Score candidates by id, then those sent along."""
        request = ScoreRequest(query=query, item_ids=list(item_ids), items=list(items), top_n=top_n)
        return self._ask("POST", "/score", ScoreReply, request)

    def explain(self, query: str, item_id: str) -> ExplainReply:
        """Explain one query with an item of the catalogue."""
        return self._ask(
            "POST", "/explain", ExplainReply, ExplainRequest(query=query, item_id=item_id)
        )

    def explain_inline(self, query: str, item: InlineItem) -> ExplainReply:
        """Explain one query with an item sent along."""
        return self._ask("POST", "/explain", ExplainReply, ExplainRequest(query=query, item=item))

    def health(self) -> HealthReply:
        """What is being served."""
        return self._ask("GET", "/health", HealthReply)

    def _ask(
        self, method: str, path: str, schema: type[Reply], body: BaseModel | None = None
    ) -> Reply:
        content = None if body is None else body.model_dump_json(exclude_none=True)
        headers = {"content-type": "application/json"}
        try:
            reply = self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as fault:
            raise Unavailable(f"{self._http.base_url}{path}: no answer: {fault}") from fault
        if reply.is_success:
            return _parsed(reply, schema)
        error = _parsed(reply, ErrorReply).error
        message = f"{path} answered {reply.status_code} {error.code}: {error.message}"
        raise Unavailable(message) if reply.status_code >= 500 else BadInput(message)


def _parsed(reply: httpx.Response, schema: type[Reply]) -> Reply:
    try:
        return schema.model_validate_json(reply.content)
    except ValidationError as fault:
        found: Any = reply.text[:80]
        raise Unavailable(
            f"{reply.url}: expected a {schema.__name__}, got {reply.status_code} {found!r}"
        ) from fault
