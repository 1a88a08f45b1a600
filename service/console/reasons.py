"""Teachers' reasons for the rows of the query view, and the labels people give.

A page asks for a pair's reasons only when its label is kept: what it does not have, it cannot show
too early. And a slow teacher holds up no label.
"""

from service.console.labels import LabelBook
from service.console.wire import (
    LabelReply,
    LabelRequest,
    Place,
    Reasons,
    ReasonsReply,
    ReasonsRequest,
)
from service.explain import explain_reply
from service.explain_wire import ExplainReply, ExplainRequest, TeacherState
from service.explanations import Explanations
from service.job import Job
from service.query import encode_query
from service.ranking_wire import rows
from service.replies import Refused
from service.score import Ranking, rank
from service.store.found import stored_items
from service.wire import Candidates


def reasons_reply(job: Job, request: ReasonsRequest, explanations: Explanations) -> ReasonsReply:
    """What the teachers say to each pair; a pair nobody can judge costs the others nothing."""
    known = stored_items(job.snapshot.items, request.item_ids)
    answers = []
    for item_id, item in zip(request.item_ids, known, strict=True):
        if item is None:
            answers.append(Reasons(item_id, TeacherState.UNAVAILABLE))
            continue
        answers.append(_reasons(_explained(job, request.query, item_id, explanations)))
    return ReasonsReply(answers)


def label_reply(job: Job, request: LabelRequest, labels: LabelBook) -> LabelReply:
    """Keep a label, then say what the student would have said; raises `Refused`."""
    if stored_items(job.snapshot.items, [request.item_id])[0] is None:
        message = f"item_id: the generation knows no item `{request.item_id:.80}`"
        raise Refused(404, "item_not_found", message, param="item_id")
    encode_query(job, request.query)  # refuses what is no query, before it is kept
    count = labels.label(request.query, request.item_id, request.label)
    student = None
    if request.label is not None:
        student = _place(rank(job, Candidates(request.query, [request.item_id])))
    return LabelReply(
        query=request.query,
        item_id=request.item_id,
        label=request.label,
        labels=count,
        student=student,
    )


def _place(ranking: Ranking) -> Place:
    (row,) = rows(ranking)
    return Place(row.score, row.label, row.status, rank=None)


def _explained(job: Job, query: str, item_id: str, explanations: Explanations) -> ExplainReply:
    return explain_reply(job, ExplainRequest(query=query, item_id=item_id), explanations)


def _reasons(explained: ExplainReply) -> Reasons:
    teacher = explained.teacher
    return Reasons(
        id=explained.id,
        state=teacher.state,
        judge=teacher.judge,
        score=teacher.score,
        label=teacher.label,
        aspects=explained.aspects,
        spans=explained.spans,
    )
