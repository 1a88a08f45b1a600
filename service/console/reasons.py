"""Teachers' reasons for the rows of the query view, and labels with what the teacher thinks.

The teacher's opinion of a pair that is being labelled leaves the service only after the label is
kept: what a page does not have, it cannot show too early.
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
from service.explanations import Explanations
from service.job import Job
from service.query import encode_query
from service.replies import Refused
from service.store.found import stored_items
from service.wire import ExplainReply, ExplainRequest, TeacherState


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


def label_reply(
    job: Job, request: LabelRequest, *, explanations: Explanations, labels: LabelBook
) -> LabelReply:
    """Keep a label, then say what teacher and student would have said; raises `Refused`."""
    if stored_items(job.snapshot.items, [request.item_id])[0] is None:
        message = f"item_id: the generation knows no item `{request.item_id:.80}`"
        raise Refused(404, "item_not_found", message, param="item_id")
    encode_query(job, request.query)  # refuses what is no query, before it is kept
    count = labels.label(request.query, request.item_id, request.label)
    teacher, student = None, None
    if request.label is not None:
        explained = _explained(job, request.query, request.item_id, explanations)
        teacher = _reasons(explained)
        student = Place(explained.score, explained.label, explained.status, rank=None)
    return LabelReply(
        query=request.query,
        item_id=request.item_id,
        label=request.label,
        labels=count,
        teacher=teacher,
        student=student,
    )


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
