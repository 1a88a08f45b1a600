"""Documents ranked by the engine of `/score`, in the order of the request and of the scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from service.job import Job
from service.replies import Refused
from service.rerank.documents import Reading, read_documents
from service.score import DEADLINE, STATUSES, best_first, rank


@dataclass(frozen=True, slots=True)
class RankedDocuments:
    """Documents as they came; NaN without a score. `order` holds those with one, best first."""

    logits: Float64[np.ndarray, " documents"]
    scores: Float64[np.ndarray, " documents"]
    statuses: UInt8[np.ndarray, " documents"]
    truncated: Bool[np.ndarray, " documents"]
    query_truncated: bool

    @property
    def order(self) -> Int64[np.ndarray, " scored"]:
        """Documents with a score from the best to the worst; equal ones in their order."""
        return best_first(self.scores)[: int(np.count_nonzero(~np.isnan(self.scores)))]

    @property
    def unscored(self) -> Int64[np.ndarray, " unscored"]:
        """Documents without a score."""
        return np.flatnonzero(np.isnan(self.scores))

    def why(self, at: int) -> str:
        """The status of a document, as `/score` calls it."""
        return STATUSES[self.statuses[at]].value


def rank_documents(
    job: Job, query: str, documents: Sequence[Any], reading: Reading
) -> RankedDocuments:
    """Rank one query's documents; raises `Refused`."""
    read = read_documents(job, query, documents, reading)
    ranking = rank(_roomier(job), read.candidates)
    scored, at = ranking.scored, read.places
    return RankedDocuments(
        logits=scored.logits[at],
        scores=scored.scores[at],
        statuses=scored.statuses[at],
        truncated=scored.truncated[at],
        query_truncated=ranking.query_truncated,
    )


def refuse_unscored(ranked: RankedDocuments, reading: Reading) -> None:
    """For replies in which a document without a score has no place: 504 where time was up."""
    if not len(ranked.unscored):
        return
    at = int(ranked.unscored[0])
    place = reading.place(at)
    message = f"{place}: no score: {ranked.why(at)}"
    if ranked.statuses[at] == DEADLINE:
        raise Refused(504, "deadline_exceeded", message, param="deadline_ms")
    raise Refused(422, "no_score", message, param=place)


def _roomier(job: Job) -> Job:
    """Rerank clients send texts as a rule, so these have a limit of their own."""
    most = max(job.limits.max_rerank_documents, job.limits.max_inline_items)
    return replace(job, limits=replace(job.limits, max_inline_items=most))
