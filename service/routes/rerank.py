"""Paths that clients of Cohere, Jina, TEI and vLLM call, but for `/score`, which is ours too.

What the bodies mean is `service.rerank`'s.
"""

from fastapi import APIRouter, Request, Response

from service.openapi import described
from service.rerank.answers import pairs_reply, rerank_reply, texts_reply
from service.rerank.wire import (
    SIDES,
    PairsReply,
    RankedText,
    RerankFault,
    RerankReply,
    RerankRequest,
    TextsFault,
    TextsRequest,
)
from service.routes.request import BareRoute, Forms, answer_one_of, in_experiments, service_of

FAULTS = (400, 401, 403, 408, 409, 413, 422, 429, 503)
# TEI and vLLM share a path: `texts` is the one, `documents` the other.
RERANK_FORMS: Forms = {TextsRequest: texts_reply, RerankRequest: rerank_reply("1")}
PAIRS_FORMS: Forms = dict.fromkeys(SIDES, pairs_reply)
router = APIRouter(route_class=BareRoute, tags=["rerank"])


@router.post(
    "/v1/rerank",
    **described("/v1/rerank", RerankRequest, RerankReply, faults=FAULTS, error=RerankFault),
)
async def rerank_v1(request: Request) -> Response:
    """Rank documents for a query, as Cohere's first API, Jina's and vLLM's do."""
    return await _answer(request, {RerankRequest: rerank_reply("1")})


@router.post(
    "/v2/rerank",
    **described("/v2/rerank", RerankRequest, RerankReply, faults=FAULTS, error=RerankFault),
)
async def rerank_v2(request: Request) -> Response:
    """Rank documents for a query, as Cohere's second API does."""
    return await _answer(request, {RerankRequest: rerank_reply("2")})


@router.post(
    "/rerank",
    **described(
        "/rerank",
        tuple(RERANK_FORMS),
        list[RankedText],
        RerankReply,
        faults=FAULTS,
        error=TextsFault,
    ),
)
async def rerank(request: Request) -> Response:
    """Rank `texts` as TEI does, or `documents` as vLLM does."""
    return await _answer(request, RERANK_FORMS)


@router.post(
    "/v1/score",
    **described("/v1/score", tuple(PAIRS_FORMS), PairsReply, faults=(*FAULTS, 504)),
)
async def score_pairs(request: Request) -> Response:
    """Score pairs as vLLM does."""
    return await _answer(request, PAIRS_FORMS)


async def _answer(request: Request, forms: Forms) -> Response:
    forms = in_experiments(request, forms)
    return await answer_one_of(request, forms, service_of(request).scoring)
