"""Requests of other servers' clients answered: a decoded body and a job become their reply."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float64
from msgspec import UNSET

from service.job import Job
from service.replies import Refused
from service.requests import check_generation
from service.rerank.documents import Reading
from service.rerank.ranking import RankedDocuments, rank_documents, refuse_unscored
from service.rerank.wire import (
    SIDES,
    ApiVersion,
    BilledUnits,
    PairScore,
    PairsReply,
    PairsRequest,
    RankedDocument,
    RankedText,
    RerankMeta,
    RerankReply,
    RerankRequest,
    TextsRequest,
    Usage,
    is_sent_as_text,
)
from service.work import Stage

SEARCH_UNIT = 100  # documents


def rerank_reply(version: str) -> Callable[[Job, RerankRequest], RerankReply]:
    """The reply to `POST /v1/rerank`, `/v2/rerank`, and to `documents` on `/rerank`."""

    def reply(job: Job, request: RerankRequest) -> RerankReply:
        check_generation(job, request.generation)
        reading = Reading(
            field="documents",
            rank_fields=tuple(request.rank_fields or ()),
            max_tokens=request.max_tokens_per_doc or _tokens(request.truncate_prompt_tokens),
            from_left=request.truncation_side is not None and request.truncation_side.is_left,
        )
        ranked = rank_documents(job, request.query, request.documents, reading)
        if request.truncation is False:
            _refuse_truncated(ranked, "documents")
        with job.work.timed(Stage.SERIALISE):
            return _rerank_reply(job, request, ranked, version)

    return reply


def texts_reply(job: Job, request: TextsRequest) -> list[RankedText]:
    """The reply to TEI's `POST /rerank`."""
    check_generation(job, request.generation)
    side = request.truncation_direction
    reading = Reading(field="texts", from_left=side is not None and side.is_left)
    ranked = rank_documents(job, request.query, request.texts, reading)
    if request.truncate is False:
        _refuse_truncated(ranked, "texts")
    with job.work.timed(Stage.SERIALISE):
        values = ranked.logits if request.raw_scores else ranked.scores
        order = ranked.order.tolist()
        texts = [_text(request.texts[at]) if request.return_text else UNSET for at in order]
        return [
            RankedText(at, score, text)
            for at, score, text in zip(order, values[order].tolist(), texts, strict=True)
        ]


def pairs_reply(job: Job, request: PairsRequest) -> PairsReply:
    """The reply to vLLM's `POST /score`; refuses where a pair gets no score."""
    check_generation(job, request.generation)
    pairs = _pairs(request)
    _check_pairs(job, pairs)
    scores = _pair_scores(job, request, pairs)
    with job.work.timed(Stage.SERIALISE):
        return PairsReply(
            id=request.request_id or f"score-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=job.snapshot.bundle.bundle_id,
            data=[PairScore(at, score) for at, score in enumerate(scores.tolist())],
            usage=_usage(job),
            **job.origin,
        )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """As many queries as documents; `field` is what the request calls the documents."""

    queries: list[str]
    documents: list[Any]
    queries_field: str
    field: str

    @property
    def of_query(self) -> dict[str, list[int]]:
        """The pairs of each distinct query."""
        places: dict[str, list[int]] = {}
        for at, query in enumerate(self.queries):
            places.setdefault(query, []).append(at)
        return places


def _pairs(request: PairsRequest) -> _Pairs:
    queries_field, field = SIDES[type(request)]
    queries, documents = getattr(request, queries_field), getattr(request, field)
    queries = [queries] if isinstance(queries, str) else queries
    documents = documents if isinstance(documents, list) else [documents]
    if len(queries) not in (1, len(documents)):
        message = (
            f"{queries_field}: expected one text or as many as `{field}` has ({len(documents)}), "
            f"got {len(queries)}"
        )
        raise Refused(422, "invalid_request", message, param=queries_field)
    queries = queries * len(documents) if len(queries) == 1 else queries
    return _Pairs(queries, documents, queries_field, field)


def _check_pairs(job: Job, pairs: _Pairs) -> None:
    """What `/score/batch` would refuse; one query's documents are checked where they are read."""
    queries, most = len(pairs.of_query), job.limits.max_batch_queries
    if queries > most:
        message = f"{pairs.queries_field}: expected at most {most} different texts, got {queries}"
        raise Refused(422, "too_many_queries", message, param=pairs.queries_field)
    count = len(pairs.documents)
    most = job.limits.max_candidates
    if not count:
        message = f"{pairs.field}: expected at least one document, got none"
        raise Refused(422, "no_candidates", message, param=pairs.field)
    if count > most:
        message = f"{pairs.field}: expected at most {most} documents, got {count}"
        raise Refused(422, "too_many_candidates", message, param=pairs.field)
    texts = sum(map(is_sent_as_text, pairs.documents))
    most = job.limits.max_rerank_documents
    if texts > most:
        message = f"{pairs.field}: expected at most {most} sent as text, got {texts}"
        raise Refused(422, "too_many_items", message, param=pairs.field)


def _pair_scores(job: Job, request: PairsRequest, pairs: _Pairs) -> Float64[np.ndarray, " pairs"]:
    side = request.truncation_side
    reading = Reading(
        field=pairs.field,
        max_tokens=_tokens(request.truncate_prompt_tokens),
        from_left=side is not None and side.is_left,
    )
    values = np.empty(len(pairs.documents))
    for query, places in pairs.of_query.items():
        documents = [pairs.documents[at] for at in places]
        some = replace(reading, numbers=places)
        ranked = rank_documents(job, query, documents, some)
        refuse_unscored(ranked, some)
        values[places] = ranked.logits if request.use_activation is False else ranked.scores
    return values


def _rerank_reply(
    job: Job, request: RerankRequest, ranked: RankedDocuments, version: str
) -> RerankReply:
    order = ranked.order[: request.top_n or None].tolist()
    values = ranked.logits if request.use_activation is False else ranked.scores
    sent = [_as_object(at, request) if request.return_documents else UNSET for at in order]
    warnings = [f"documents.{at}: no score: {ranked.why(at)}" for at in ranked.unscored.tolist()]
    units = -(-len(request.documents) // SEARCH_UNIT)
    return RerankReply(
        id=request.request_id or str(uuid.uuid4()),
        model=job.snapshot.bundle.bundle_id,
        results=[
            RankedDocument(at, score, document)
            for at, score, document in zip(order, values[order].tolist(), sent, strict=True)
        ],
        usage=_usage(job),
        meta=RerankMeta(ApiVersion(version), BilledUnits(units), warnings or UNSET),
        **job.origin,
    )


def _refuse_truncated(ranked: RankedDocuments, field: str) -> None:
    if ranked.query_truncated:
        message = "query: longer than the bundle reads, and the request forbids cutting"
        raise Refused(422, "too_many_tokens", message, param="query")
    if ranked.truncated.any():
        at = int(np.flatnonzero(ranked.truncated)[0])
        message = f"{field}.{at}: longer than the bundle reads, and the request forbids cutting"
        raise Refused(422, "too_many_tokens", message, param=f"{field}.{at}")


def _tokens(truncate_prompt_tokens: int | None) -> int | None:
    """vLLM's −1 stands for as many as the model reads."""
    if truncate_prompt_tokens == 0:
        message = "truncate_prompt_tokens: expected −1 or at least 1, got 0"
        raise Refused(422, "invalid_request", message, param="truncate_prompt_tokens")
    return None if truncate_prompt_tokens == -1 else truncate_prompt_tokens


def _as_object(at: int, request: RerankRequest) -> dict[str, Any]:
    document = request.documents[at]
    if isinstance(document, str):
        return {"text": document}
    try:  # what one encoding brings, the other may not be able to hold
        msgspec.json.encode(document)
        msgspec.msgpack.encode(document)
    except (TypeError, OverflowError) as fault:
        place = f"documents.{at}"
        message = f"{place}: cannot be sent back: {fault}"
        raise Refused(422, "invalid_document", message, param=place) from fault
    return document


def _text(document: Any) -> Any:
    return document if isinstance(document, str) else document.get("text", UNSET)


def _usage(job: Job) -> Usage:
    return Usage(prompt_tokens=job.work.tokens, total_tokens=job.work.tokens)
