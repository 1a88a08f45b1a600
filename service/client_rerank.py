"""The plan behind the clients' `rerank`: any number of documents, in pieces within the limits."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from service.client_plans import Call, Plan, from_one_generation
from service.rerank.wire import (
    RankedDocument,
    RerankReply,
    RerankRequest,
    Usage,
    is_sent_as_text,
)
from service.wire_status import LimitsInfo

PATH = "/v2/rerank"
_NUMBER = re.compile(r"(?<=^documents\.)\d+")
Piece = tuple[int, RerankReply]  # with the place of its first document


def rerank_plan(asked: RerankRequest, limits: LimitsInfo) -> Plan[RerankReply]:
    """Rank any number of documents; pieces are answered from one generation, or all anew."""

    def pieces() -> Plan[RerankReply]:
        return _ranked(asked, limits)

    return (yield from from_one_generation(PATH, pieces, pin=asked.generation))


def _ranked(asked: RerankRequest, limits: LimitsInfo) -> Plan[RerankReply]:
    pin = asked.generation
    replies: list[Piece] = []
    for start, documents in _pieces(0, asked, asked.documents, limits):
        body = msgspec.structs.replace(asked, documents=documents, generation=pin)
        reply: RerankReply = yield Call("POST", PATH, RerankReply, body)
        replies.append((start, reply))
        pin = reply.generation
    return replies[0][1] if len(replies) == 1 else _merged(replies, asked)


def _pieces(
    start: int, asked: RerankRequest, documents: list[Any], limits: LimitsInfo
) -> Iterator[tuple[int, list[Any]]]:
    """One piece, or its halves where it is more than one request may hold."""
    if len(documents) < 2 or _fits(asked, documents, limits):
        yield start, documents
        return
    half = len(documents) // 2
    yield from _pieces(start, asked, documents[:half], limits)
    yield from _pieces(start + half, asked, documents[half:], limits)


def _fits(asked: RerankRequest, documents: list[Any], limits: LimitsInfo) -> bool:
    texts = sum(is_sent_as_text(one, asked.rank_fields or ()) for one in documents)
    body = msgspec.structs.replace(asked, documents=documents)
    return (
        len(documents) <= limits.max_candidates
        and texts <= limits.max_rerank_documents
        and len(msgspec.msgpack.encode(body)) + 512 <= limits.max_body_bytes
    )


def _merged(replies: Sequence[Piece], asked: RerankRequest) -> RerankReply:
    """Pieces of one ranking as the whole; usage and units are what all of them took."""
    first = replies[0][1]
    results = [
        RankedDocument(start + row.index, row.relevance_score, row.document)
        for start, reply in replies
        for row in reply.results
    ]
    results.sort(key=lambda row: (-row.relevance_score, row.index))
    tokens = sum(reply.usage.total_tokens for _, reply in replies)
    units = sum(reply.meta.billed_units.search_units for _, reply in replies)
    return msgspec.structs.replace(
        first,
        results=results[: asked.top_n or None],
        usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
        meta=msgspec.structs.replace(
            first.meta,
            billed_units=msgspec.structs.replace(first.meta.billed_units, search_units=units),
            warnings=_warnings(replies) or UNSET,
        ),
        sequence=replies[-1][1].sequence,
        degraded=list(dict.fromkeys(one for _, reply in replies for one in reply.degraded)),
    )


def _warnings(replies: Sequence[Piece]) -> list[str]:
    """Which documents have no score, counted in the whole request."""
    return [
        _counted_from(start, warning)
        for start, reply in replies
        for warning in reply.meta.warnings or ()
    ]


def _counted_from(start: int, warning: str) -> str:
    return _NUMBER.sub(lambda number: str(start + int(number.group())), warning)
