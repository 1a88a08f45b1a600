"""Every method of the typed clients, written once: what is asked, as a plan, and for how long.

`client.py` carries a plan out and returns its result, `async_client.py` awaits it. Here stand the
methods' parameters, types and docstrings, for both.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from service.client_plans import (
    HEALTH,
    INFO,
    LIMITS,
    USUAL,
    Options,
    Plan,
    batch_plan,
    explain_call,
    rows_of,
    score_plan,
    search_call,
    single,
)
from service.client_rerank import rerank_plan
from service.explain_wire import ExplainReply, ExplainRequest
from service.rerank.wire import RerankReply, RerankRequest
from service.search_wire import SearchReply, SearchRequest
from service.wire import Candidates, ColumnsAnswer, ColumnsReply, InlineItem, ScoreReply
from service.wire_status import HealthReply, InfoReply

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Asking(Generic[Result]):
    """A plan and how many seconds it may take with all its attempts and pieces."""

    plan: Plan[Result]
    deadline_s: float | None


def shown_as(ask: Callable[..., Asking[Any]]) -> inspect.Signature:
    """The signature of the client's method that carries out what `ask` plans."""
    signature = inspect.signature(ask)
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    return signature.replace(
        parameters=[self, *signature.parameters.values()],
        return_annotation=get_args(signature.return_annotation)[0],
    )


def score(
    query: str,
    item_ids: Sequence[str] = (),
    *,
    items: Sequence[InlineItem] = (),
    top_n: int | None = None,
    options: Options = USUAL,
    deadline_s: float | None = None,
) -> Asking[ScoreReply]:
    """Score candidates by id, then those sent along; any number of them."""
    asked = Candidates(query=query, item_ids=list(item_ids), items=list(items), top_n=top_n)

    def plan() -> Plan[ScoreReply]:
        limits = yield LIMITS
        return rows_of((yield from score_plan(asked, options, limits)))

    return Asking(plan(), deadline_s)


def score_columns(
    asked: Candidates, *, options: Options = USUAL, deadline_s: float | None = None
) -> Asking[ColumnsReply]:
    """The same, one list a field: cheaper for thousands of candidates."""

    def plan() -> Plan[ColumnsReply]:
        limits = yield LIMITS
        return (yield from score_plan(asked, options, limits))

    return Asking(plan(), deadline_s)


def score_batch(
    asked: Sequence[Candidates], *, options: Options = USUAL, deadline_s: float | None = None
) -> Asking[list[ColumnsAnswer]]:
    """Score several queries; one that is refused has its `error` set."""

    def plan() -> Plan[list[ColumnsAnswer]]:
        limits = yield LIMITS
        return (yield from batch_plan(asked, options, limits))

    return Asking(plan(), deadline_s)


def search(
    query: str,
    *,
    top_k: int = 10,
    depth: int | None = None,
    generation: str | None = None,
    experiment_key: str | None = None,
    deadline_s: float | None = None,
) -> Asking[SearchReply]:
    """Find the whole catalogue's `top_k` best items, out of the `depth` likeliest."""
    body = SearchRequest(
        query=query,
        top_k=top_k,
        depth=depth,
        generation=generation,
        experiment_key=experiment_key,
    )
    return Asking(single(search_call(body)), deadline_s)


def rerank(
    query: str,
    documents: Sequence[str | dict[str, Any]],
    *,
    top_n: int | None = None,
    max_tokens_per_doc: int | None = None,
    generation: str | None = None,
    experiment_key: str | None = None,
    deadline_s: float | None = None,
) -> Asking[RerankReply]:
    """Rank texts, objects with a text, or `{"id": …}` of the catalogue; any number of them."""
    asked = RerankRequest(
        query=query,
        documents=list(documents),
        top_n=top_n,
        max_tokens_per_doc=max_tokens_per_doc,
        generation=generation,
        experiment_key=experiment_key,
    )

    def plan() -> Plan[RerankReply]:
        limits = yield LIMITS
        return (yield from rerank_plan(asked, limits))

    return Asking(plan(), deadline_s)


def explain(
    query: str,
    item_id: str,
    *,
    experiment_key: str | None = None,
    deadline_s: float | None = None,
) -> Asking[ExplainReply]:
    """Explain one query with an item of the catalogue."""
    body = ExplainRequest(query=query, item_id=item_id, experiment_key=experiment_key)
    return Asking(single(explain_call(body)), deadline_s)


def explain_inline(
    query: str,
    item: InlineItem,
    *,
    experiment_key: str | None = None,
    deadline_s: float | None = None,
) -> Asking[ExplainReply]:
    """Explain one query with an item sent along."""
    body = ExplainRequest(query=query, item=item, experiment_key=experiment_key)
    return Asking(single(explain_call(body)), deadline_s)


def info() -> Asking[InfoReply]:
    """What one request may ask for, and what is running."""
    return Asking(single(INFO), None)


def health() -> Asking[HealthReply]:
    """What is being served and how well."""
    return Asking(single(HEALTH), None)
