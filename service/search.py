"""Search: the whole catalogue's best items for a query, each with the score `/score` gives it.

A small catalogue is scored outright. Of a larger one an index proposes candidates, and all items
that deltas brought are scored with them; removed and replaced ones never are.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from relevance.domain import Label
from service.candidates.live import Candidates, LiveItems
from service.candidates.pooled import query_vectors
from service.job import Job
from service.query import encode_query
from service.query_cache import EncodedQuery
from service.replies import Refused
from service.requests import check_generation
from service.scorer import CHUNK
from service.search_wire import SearchMethod, SearchReply, SearchRequest, SearchRow
from service.store.found import find
from service.store.generation_reader import GenerationReader
from service.work import Ranked, Stage

NO_INDEX = "no_candidate_index"  # the `degraded` reason: everything was scored instead


def search_reply(job: Job, request: SearchRequest) -> SearchReply:
    """The reply to `POST /search`; raises `Refused`."""
    check_generation(job, request.generation)
    generation, candidates = _searchable(job)
    query = encode_query(job, request.query)
    live = candidates.live(generation)
    with job.work.timed(Stage.FETCH):
        rows, method = _proposed(job, request, query, generation, live, candidates)
    scores, truncated = _scored(job, query, generation, rows)
    best = _best(scores, rows, request.top_k)
    threshold = job.snapshot.bundle.threshold
    ids = generation.item_ids(rows[best])
    everyone = np.arange(len(ids))
    job.work.ranked.append(Ranked(query.text, ids, scores[best], everyone))
    results = [
        SearchRow(item_id, score, Label.GOOD if score >= threshold else Label.BAD, cut)
        for item_id, score, cut in zip(
            ids, scores[best].tolist(), truncated[best].tolist(), strict=True
        )
    ]
    return SearchReply(
        results,
        method,
        scored=int(np.count_nonzero(~np.isnan(scores))),
        catalogue=len(live.rows),
        query_truncated=query.truncated,
        **job.origin,
    )


def _searchable(job: Job) -> tuple[GenerationReader, Candidates]:
    """The generation whose items are searched, wherever their rows lie."""
    items, candidates = job.snapshot.items, job.snapshot.candidates
    generation = getattr(items, "generation", items)
    if candidates is None or not isinstance(generation, GenerationReader):
        message = "search needs a local generation; this service has its items elsewhere"
        raise Refused(503, "search_unavailable", message)
    return generation, candidates


def _proposed(
    job: Job,
    request: SearchRequest,
    query: EncodedQuery,
    generation: GenerationReader,
    live: LiveItems,
    candidates: Candidates,
) -> tuple[Int64[np.ndarray, " rows"], SearchMethod]:
    """The rows worth scoring, and how they were found."""
    depth = max(request.depth or candidates.depth, request.top_k)
    if len(live.rows) <= max(candidates.exhaustive_items, depth):
        return live.rows, SearchMethod.EXHAUSTIVE
    if candidates.index is None:
        job.work.degraded += (NO_INDEX,)
        return live.rows, SearchMethod.EXHAUSTIVE
    vectors = query_vectors(query.tokens)
    near = candidates.index.nearest(vectors, depth=depth, live=live.bitmap)
    return np.concatenate([np.sort(near), live.of_deltas]), SearchMethod.CANDIDATES


def _scored(
    job: Job, query: EncodedQuery, generation: GenerationReader, rows: Int64[np.ndarray, " rows"]
) -> tuple[Float64[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Exact scores, NaN where time was up first."""
    scores = np.full(len(rows), np.nan)
    scorer, items = job.snapshot.scorer, job.snapshot.items
    with job.work.timed(Stage.SCORE):
        for start in range(0, len(rows), CHUNK):
            if job.deadline.has_passed():
                break
            chunk = rows[start : start + CHUNK]
            arena, places = generation.arena, chunk
            if items is not generation:
                arena, places = _fetched(job, generation, chunk)
            scores[start : start + CHUNK] = scorer.score(query.tokens, arena, places).probabilities
    return scores, generation.truncated[rows] > 0


def _fetched(
    job: Job, generation: GenerationReader, rows: Int64[np.ndarray, " rows"]
) -> tuple[UInt8[np.ndarray, "items rows dim"], Int64[np.ndarray, " rows"]]:
    """The rows of items that lie elsewhere, and where they are in there."""
    found = find(job.snapshot.items, generation.item_ids(rows))
    job.work.degraded += found.degraded
    if len(found.arenas) == 1 and found.is_known.all():
        return found.arenas[0], found.row
    pieces = [
        found.arenas[a][r] for a, r in zip(found.arena.tolist(), found.row.tolist(), strict=True)
    ]
    return np.stack(pieces), np.arange(len(rows))


def _best(
    scores: Float64[np.ndarray, " rows"], rows: Int64[np.ndarray, " rows"], top_k: int
) -> Int64[np.ndarray, " best"]:
    """Places of the best scores, equal ones by row; those without a score are left out."""
    has_score = np.flatnonzero(~np.isnan(scores))
    if len(has_score) > top_k:
        worst_kept = np.partition(-scores[has_score], top_k - 1)[top_k - 1]
        has_score = has_score[-scores[has_score] <= worst_kept]
    order = np.lexsort((rows[has_score], -scores[has_score]))
    return has_score[order[:top_k]]
