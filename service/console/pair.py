"""The pair view's numbers: the alignment `/explain` gives, and every similarity behind it."""

import math

import numpy as np
from jaxtyping import Float64, Int32, UInt8

from relevance.late_interaction import item_steps
from service.console.browse import card
from service.console.wire import PairReply, PairRequest
from service.explain import Candidate, align, best_item_rows, candidate_of, row_offsets
from service.explain_wire import ExplainRequest, TokenSpan
from service.job import Job
from service.query import encode_query
from service.query_cache import EncodedQuery
from service.requests import check_generation
from service.work import Stage


def pair_reply(job: Job, request: PairRequest) -> PairReply:
    """The student's part of a pair; raises `Refused`."""
    check_generation(job, request.generation)
    asked = ExplainRequest(query=request.query, item_id=request.item_id, item=request.item)
    query = encode_query(job, request.query)
    candidate = candidate_of(job, asked)
    with job.work.timed(Stage.SCORE):
        alignment = align(job, query, candidate)
    has_tokens = bool(candidate.token_count)
    bundle = job.snapshot.bundle
    job.work.statuses[candidate.status] += 1
    return PairReply(
        id=candidate.item.item_id,
        query=query.text,
        item=card(candidate.item),
        item_text=candidate.text,
        status=candidate.status,
        threshold=bundle.threshold,
        needed=_needed(bundle.threshold, bundle.logit_bias, tokens=len(query.offsets)),
        item_tokens=_item_tokens(job, candidate) if has_tokens else [],
        cosines=cosines(job, query, candidate.real_rows).tolist() if has_tokens else [],
        best=best_item_rows(query, candidate.real_rows, bits=bundle.codec.bits).tolist()
        if has_tokens
        else [],
        query_truncated=query.truncated,
        truncated=candidate.truncated,
        stage_ms=stage_ms(job),
        **alignment,
        **job.origin,
    )


def cosines(
    job: Job, query: EncodedQuery, rows: UInt8[np.ndarray, "item_tokens dim"]
) -> Float64[np.ndarray, "query_tokens item_tokens"]:
    """Every cosine as the scorer counts it: the integers, dequantised in float64 afterwards."""
    steps = item_steps(rows, bits=job.snapshot.bundle.codec.bits)
    dots: Int32[np.ndarray, "query_tokens item_tokens"] = (
        query.tokens.steps.astype(np.int32) @ steps.T
    )
    scales = query.tokens.scales.astype(np.float64) * float(job.snapshot.bundle.item_scale)
    return dots * scales[:, None]


def stage_ms(job: Job) -> dict[str, float]:
    """Milliseconds a stage."""
    return {str(stage): 1000 * taken for stage, taken in job.work.seconds.items()}


def _needed(threshold: float, bias: float, *, tokens: int) -> float | None:
    """The mean contribution at which a pair's score is the threshold."""
    if not 0 < threshold < 1:
        return None  # everything is Good, or nothing: no contribution decides it
    return (math.log(threshold / (1 - threshold)) - bias) / tokens


def _item_tokens(job: Job, candidate: Candidate) -> list[TokenSpan]:
    offsets = row_offsets(job, candidate.text)
    return [TokenSpan(candidate.text[start:end], start, end) for start, end in offsets]
