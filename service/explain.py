"""Why a pair scores as it does: the student's alignment token by token, and the teacher's reasons.

The alignment adds up to the very logit `/score` turns into its score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from relevance.chain_of_thought import render
from relevance.domain import ChainOfThought, Item, Label
from relevance.item_rows import row_members
from relevance.late_interaction import item_steps, sigmoid, token_contributions
from service.explain_wire import (
    Contribution,
    ExplainReply,
    ExplainRequest,
    Finding,
    Span,
    TeacherOpinion,
    TokenSpan,
)
from service.explanations import Explanations, Reasons
from service.job import Job
from service.listener import Listener
from service.query import encode_query
from service.query_cache import EncodedQuery
from service.replies import Refused
from service.requests import check_generation
from service.store.found import find, stored_items
from service.teacher_door import Opinion
from service.wire import Status
from service.work import Stage


@dataclass(frozen=True, slots=True)
class Candidate:
    """One item with its rows in an arena, and how it came here."""

    item: Item
    text: str
    arena: UInt8[np.ndarray, "items rows dim"]
    position: int
    token_count: int
    truncated: bool
    status: Status

    @property
    def real_rows(self) -> UInt8[np.ndarray, "real_rows dim"]:
        """The rows of real tokens; the others only repeat the first."""
        return self.arena[self.position][: self.token_count]


class Alignment(TypedDict):
    """The student's part of an `ExplainReply`."""

    score: float | None
    label: Label | None
    logit: float | None
    bias: float
    contributions: list[Contribution]


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """The student's half of an explanation, which waits for nobody."""

    query: EncodedQuery
    candidate: Candidate
    alignment: Alignment


def explain_reply(
    job: Job,
    request: ExplainRequest,
    explanations: Explanations,
    *,
    listener: Listener | None = None,
) -> ExplainReply:
    """The reply to `POST /explain`; raises `Refused`, and `Gone` when the `listener` leaves."""
    return explained(job, aligned(job, request), explanations, listener=listener)


def aligned(job: Job, request: ExplainRequest) -> AlignedPair:
    """The pair by the student alone; raises `Refused`."""
    check_generation(job, request.generation)
    query = encode_query(job, request.query)
    candidate = candidate_of(job, request)
    with job.work.timed(Stage.SCORE):
        alignment = align(job, query, candidate)
    job.work.statuses[candidate.status] += 1
    return AlignedPair(query, candidate, alignment)


def explained(
    job: Job, pair: AlignedPair, explanations: Explanations, *, listener: Listener | None = None
) -> ExplainReply:
    """The same with the teachers' reasons; raises `Gone` when the `listener` leaves."""
    with job.work.timed(Stage.EXPLAIN):
        reasons = explanations.ask(
            pair.query.text, pair.candidate.item, job.deadline, listener=listener
        )
    job.work.teacher = reasons.state
    job.work.asked.update(f"{one.origin} {one.state}" for one in reasons.tried)
    return reply_of(job, pair, _opinion(reasons), reasons.opinion)


def reply_of(
    job: Job, pair: AlignedPair, teacher: TeacherOpinion, opinion: Opinion | None = None
) -> ExplainReply:
    """Both halves in one reply."""
    candidate = pair.candidate
    thought = None if opinion is None else opinion.chain_of_thought
    return ExplainReply(
        id=candidate.item.item_id,
        query=pair.query.text,
        item_text=candidate.text,
        status=candidate.status,
        truncated=candidate.truncated,
        query_truncated=pair.query.truncated,
        aspects=_findings(thought),
        spans=_spans(opinion),
        chain_of_thought=None if thought is None else render(thought),
        teacher=teacher,
        **pair.alignment,
        **job.origin,
    )


def align(job: Job, query: EncodedQuery, candidate: Candidate) -> Alignment:
    """Score, logit, bias and each query token's share; only the bias without item tokens."""
    bundle = job.snapshot.bundle
    if not candidate.token_count:
        return Alignment(
            score=None, label=None, logit=None, bias=bundle.logit_bias, contributions=[]
        )
    at = np.array([candidate.position], np.int64)
    scored = job.snapshot.scorer.score(query.tokens, candidate.arena, at)
    score = float(scored.probabilities[0])
    shares = token_contributions(
        scored.maxima,
        query.tokens.scales,
        item_scale=bundle.item_scale,
        weight=bundle.logit_weight,
    )[0]
    return Alignment(
        score=score,
        label=Label.GOOD if score >= bundle.threshold else Label.BAD,
        logit=float(scored.logits[0]),
        bias=bundle.logit_bias,
        contributions=_contributions(job, query, candidate, shares),
    )


def best_item_rows(
    query: EncodedQuery, rows: UInt8[np.ndarray, "real_rows row_bytes"], *, bits: int = 8
) -> Int64[np.ndarray, " query_tokens"]:
    """For each query token the real row it meets best; the first of equals."""
    return (item_steps(rows, bits=bits) @ query.tokens.steps.T.astype(np.int32)).argmax(axis=0)


def row_offsets(job: Job, text: str) -> Sequence[tuple[int, int]]:
    """Where in the item's text each real row lies; a pooled row at the first of its tokens."""
    bundle, encoder = job.snapshot.bundle, job.snapshot.encoder_of_items
    if bundle.codec.keeps_tokens:
        return encoder.tokenise(text, limit=bundle.max_item_tokens).offsets
    tokens = encoder.encode(text, limit=bundle.max_item_tokens)
    pieces = [text[start:end] for start, end in tokens.offsets]
    members = row_members(tokens.vectors, pieces, codec=bundle.codec)
    return [tokens.offsets[group[0]] for group in members]


def candidate_of(job: Job, request: ExplainRequest) -> Candidate:
    """The item asked about, with its rows; raises `Refused` where nobody knows it."""
    if request.item is not None:
        return _encoded(job, request.item.to_item())
    item_id = request.item_id or ""
    with job.work.timed(Stage.FETCH):
        found = find(job.snapshot.items, [item_id])
        item = stored_items(job.snapshot.items, [item_id])[0]
    job.work.degraded += found.degraded
    if item is None:
        message = f"item_id: the generation knows no item `{item_id:.80}`"
        raise Refused(404, "item_not_found", message, param="item_id")
    if not found.is_known[0]:
        return _encoded(job, item)
    count = int(found.token_counts[0])
    return Candidate(
        item=item,
        text=job.snapshot.codec.text(item),
        arena=found.arenas[found.arena[0]],
        position=int(found.row[0]),
        token_count=count,
        truncated=bool(found.truncated[0]),
        status=Status.OK if count else Status.NO_TEXT,
    )


def _encoded(job: Job, item: Item) -> Candidate:
    text = job.snapshot.codec.text(item)
    with job.work.timed(Stage.ENCODE_ITEMS):
        encoded = job.snapshot.codec.encode([text])
    count = int(encoded.token_counts[0])
    return Candidate(
        item=item,
        text=text,
        arena=encoded.embeddings,
        position=0,
        token_count=count,
        truncated=bool(encoded.truncated[0]),
        status=Status.ENCODED if count else Status.NO_TEXT,
    )


def _contributions(
    job: Job,
    query: EncodedQuery,
    candidate: Candidate,
    shares: Float64[np.ndarray, " query_tokens"],
) -> list[Contribution]:
    bundle = job.snapshot.bundle
    offered = row_offsets(job, candidate.text)
    best = best_item_rows(query, candidate.real_rows, bits=bundle.codec.bits).tolist()
    cosines = shares * len(shares) / bundle.logit_weight
    return [
        Contribution(
            token=query.text[start:end],
            start=start,
            end=end,
            contribution=share,
            cosine=cosine,
            best=_token_span(candidate.text, offered[token]),
        )
        for (start, end), share, cosine, token in zip(
            query.offsets, shares.tolist(), cosines.tolist(), best, strict=True
        )
    ]


def _token_span(text: str, offsets: tuple[int, int]) -> TokenSpan:
    start, end = offsets
    return TokenSpan(text[start:end], start, end)


def _findings(thought: ChainOfThought | None) -> list[Finding]:
    found = () if thought is None else thought.findings
    return [Finding(f.aspect, f.asked, f.offered, f.verdict) for f in found]


def _spans(opinion: Opinion | None) -> list[Span]:
    spans = () if opinion is None else opinion.spans
    return [Span(s.side, s.start, s.end, s.relevance, s.aspect) for s in spans]


def _opinion(reasons: Reasons) -> TeacherOpinion:
    opinion = reasons.opinion
    tried = list(reasons.tried)
    if opinion is None:
        return TeacherOpinion(reasons.state, reasons.origin, tried)
    thought, log_odds = opinion.chain_of_thought, opinion.log_odds
    score = None if log_odds is None else float(sigmoid(np.array(log_odds)))
    return TeacherOpinion(
        state=reasons.state,
        origin=reasons.origin,
        tried=tried,
        judge=opinion.judge,
        score=score,
        label=_label(score, reasons.threshold) if thought is None else thought.label,
        fingerprint=opinion.fingerprint,
    )


def _label(score: float | None, threshold: float) -> Label | None:
    if score is None:
        return None
    return Label.GOOD if score >= threshold else Label.BAD
