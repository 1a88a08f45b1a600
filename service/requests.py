"""Requests answered: the decoded body of each route and a job become a reply, or a `Refused`.

Routes read the body, find a thread and put the reply on the wire; nothing here knows HTTP beyond
the status a refusal carries.
"""

from collections.abc import Sequence

from service.job import Job
from service.ranking_wire import columns, rows
from service.replies import Refused, kind_of
from service.score import DEADLINE, Ranking, rank
from service.wire import (
    BatchAnswer,
    BatchColumnsReply,
    BatchReply,
    BatchRequest,
    Candidates,
    ColumnsAnswer,
    ColumnsReply,
    Fault,
    Format,
    ScoreColumns,
    ScoreReply,
    ScoreRequest,
)
from service.work import Stage

NO_COLUMNS = ScoreColumns(id=[], index=[], score=[], label=[], status=[], truncated=[])


def score_reply(job: Job, request: ScoreRequest) -> ScoreReply | ColumnsReply:
    """The reply to `POST /score`."""
    check_generation(job, request.generation)
    ranking = rank(job, request, on_missing=request.on_missing)
    if request.strict_deadline:
        _check_in_time([ranking])
    with job.work.timed(Stage.SERIALISE):
        if request.format is Format.COLUMNS:
            return ColumnsReply(columns(ranking), ranking.query_truncated, **job.origin)
        return ScoreReply(rows(ranking), ranking.query_truncated, **job.origin)


def batch_reply(job: Job, request: BatchRequest) -> BatchReply | BatchColumnsReply:
    """The reply to `POST /score/batch`: a query that is refused costs the others nothing."""
    check_generation(job, request.generation)
    _check_batch(job, request)
    rankings = [_ranking_or_refusal(job, asked, request) for asked in request.requests]
    if request.strict_deadline:
        _check_in_time([ranking for ranking in rankings if isinstance(ranking, Ranking)])
    with job.work.timed(Stage.SERIALISE):
        if request.format is Format.COLUMNS:
            return BatchColumnsReply([_columns_answer(r) for r in rankings], **job.origin)
        return BatchReply([_rows_answer(ranking) for ranking in rankings], **job.origin)


def check_generation(job: Job, generation: str | None) -> None:
    """Refuse a request pinned to another generation than the one that would answer it."""
    answering = job.snapshot.items.generation_id
    if generation not in (None, answering):
        message = f"generation: expected the loaded one, {answering}, got {generation:.80}"
        raise Refused(409, "generation_not_loaded", message, param="generation")


def _check_batch(job: Job, request: BatchRequest) -> None:
    queries, most = len(request.requests), job.limits.max_batch_queries
    if queries > most:
        message = f"requests: expected at most {most} queries, got {queries}"
        raise Refused(422, "too_many_queries", message, param="requests")
    candidates = sum(len(asked.item_ids) + len(asked.items) for asked in request.requests)
    most = job.limits.max_batch_candidates
    if candidates > most:
        message = f"requests: expected at most {most} candidates together, got {candidates}"
        raise Refused(422, "too_many_candidates", message, param="requests")
    inline = sum(len(asked.items) for asked in request.requests)
    most = job.limits.max_inline_items
    if inline > most:
        message = f"requests: expected at most {most} items sent along together, got {inline}"
        raise Refused(422, "too_many_items", message, param="requests")


def _ranking_or_refusal(job: Job, asked: Candidates, request: BatchRequest) -> Ranking | Refused:
    try:
        return rank(job, asked, on_missing=request.on_missing)
    except Refused as refused:
        return refused


def _check_in_time(rankings: Sequence[Ranking]) -> None:
    late = sum(int((ranking.scored.statuses == DEADLINE).sum()) for ranking in rankings)
    if late:
        message = f"deadline_ms: time was up with {late} candidates still without a score"
        raise Refused(504, "deadline_exceeded", message, param="deadline_ms")


def _rows_answer(ranking: Ranking | Refused) -> BatchAnswer:
    if isinstance(ranking, Refused):
        return BatchAnswer([], query_truncated=False, error=_fault(ranking))
    return BatchAnswer(rows(ranking), ranking.query_truncated, error=None)


def _columns_answer(ranking: Ranking | Refused) -> ColumnsAnswer:
    if isinstance(ranking, Refused):
        return ColumnsAnswer(NO_COLUMNS, query_truncated=False, error=_fault(ranking))
    return ColumnsAnswer(columns(ranking), ranking.query_truncated, error=None)


def _fault(refused: Refused) -> Fault:
    return Fault(str(refused), kind_of(refused.status), refused.code, refused.param)
