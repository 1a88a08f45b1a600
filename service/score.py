"""Ranking one query's candidates: the hot path, in arrays from the ids to the order.

Encoding the ranking is `ranking_wire.py`'s, reading requests `requests.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from relevance.domain import Item
from service.item_codec import EncodedItems
from service.job import Job
from service.query import encode_query
from service.query_cache import EncodedQuery
from service.replies import Refused
from service.scorer import CHUNK
from service.store.found import Found, find
from service.wire import Candidates, OnMissing, Status
from service.work import Ranked, Stage

STATUSES = tuple(Status)
OK, ENCODED, MISSING, NO_TEXT, DEADLINE = (STATUSES.index(status) for status in Status)
ENCODE_BUDGET = "encode_budget"  # the `degraded` reason


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates in the order they came: NaN without a score; `statuses` count in `STATUSES`."""

    logits: Float64[np.ndarray, " candidates"]
    scores: Float64[np.ndarray, " candidates"]
    statuses: UInt8[np.ndarray, " candidates"]
    truncated: Bool[np.ndarray, " candidates"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """A query's scored candidates and `order`, their indexes from the best to the last shown."""

    ids: Sequence[str]
    scored: Scored
    order: Int64[np.ndarray, " shown"]
    threshold: float
    query_truncated: bool


def rank(job: Job, asked: Candidates, *, on_missing: OnMissing = OnMissing.ENCODE) -> Ranking:
    """Score and order one query's candidates; raises `Refused`."""
    _check_candidates(job, asked)
    query = encode_query(job, asked.query)
    job.work.tokens += len(query.offsets)
    scored = score_cached(job, query, asked.item_ids, on_missing=on_missing, room=_room(job, asked))
    if asked.items:
        inline = score_items(job, query, [item.to_item() for item in asked.items])
        scored = _joined(scored, inline)
    _count(job, scored)
    ids = [*asked.item_ids, *(item.id for item in asked.items)]
    order = best_first(scored.scores, asked.top_n)
    job.work.ranked.append(Ranked(query.text, ids, scored.scores, order))
    return Ranking(
        ids=ids,
        scored=scored,
        order=order,
        threshold=job.snapshot.bundle.threshold,
        query_truncated=query.truncated,
    )


def best_first(
    scores: Float64[np.ndarray, " candidates"], top_n: int | None = None
) -> Int64[np.ndarray, " shown"]:
    """Indexes from the best score to the worst; equal ones keep their order, NaN comes last.

    NumPy's quickest order takes a quarter of the stable one's time and is it where none are equal.
    """
    order = np.argsort(-scores)
    ordered = scores[order]
    if not (ordered[1:] < ordered[:-1]).all():
        order = np.argsort(-scores, kind="stable")
    return order[:top_n]


def score_cached(
    job: Job,
    query: EncodedQuery,
    item_ids: Sequence[str],
    *,
    on_missing: OnMissing = OnMissing.ENCODE,
    room: int = 0,
) -> Scored:
    """Score items of the store by id; up to `room` without rows are encoded from stored texts."""
    with job.work.timed(Stage.FETCH):
        found = find(job.snapshot.items, item_ids)
    job.work.degraded += found.degraded
    if on_missing is OnMissing.ERROR:
        _refuse_missing(item_ids, found)
    scored = score_found(job, query, found)
    if on_missing is OnMissing.ENCODE and not found.is_known.all():
        _score_stored(job, query, item_ids, scored, room=room)
    return scored


def score_found(job: Job, query: EncodedQuery, found: Found) -> Scored:
    """Score what a look-up found, chunk by chunk until the deadline."""
    has_rows = found.token_counts > 0
    without_rows = np.where(found.is_known, NO_TEXT, MISSING)
    statuses = np.where(has_rows, DEADLINE, without_rows).astype(np.uint8)
    logits, scores = np.full((2, len(found)), np.nan)
    scored = Scored(logits, scores, statuses, found.truncated.copy())
    with job.work.timed(Stage.SCORE):
        for number, arena in enumerate(found.arenas):
            places = np.flatnonzero(has_rows & (found.arena == number))
            for start in range(0, len(places), CHUNK):
                if job.deadline.has_passed():
                    return scored
                chunk = places[start : start + CHUNK]
                some = job.snapshot.scorer.score(query.tokens, arena, found.row[chunk])
                logits[chunk], scores[chunk] = some.logits, some.probabilities
                statuses[chunk] = OK
    return scored


def score_items(job: Job, query: EncodedQuery, items: Sequence[Item]) -> Scored:
    """Encode and score items by their texts, each distinct text once, until the deadline."""
    texts = [job.snapshot.codec.text(item) for item in items]
    place = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    distinct = list(place)
    scored = _score_encoded(job, query, _encode_until_deadline(job, distinct), of=len(distinct))
    of_item = np.array([place[text] for text in texts], np.int64)
    return Scored(*(array[of_item] for array in _arrays(scored)))


def _score_stored(
    job: Job, query: EncodedQuery, item_ids: Sequence[str], scored: Scored, *, room: int
) -> None:
    """Fill in candidates without rows whose text the store knows; encoded items are kept."""
    missing = np.flatnonzero(scored.statuses == MISSING).tolist()
    absent = list(dict.fromkeys(item_ids[at] for at in missing))
    known = job.missing.stored(job.snapshot.items, absent)
    items = known[: job.missing.granted(min(len(known), room))]
    if len(items) < len(known):
        job.work.degraded += (ENCODE_BUDGET,)
    texts = [job.snapshot.codec.text(item) for item in items]
    encoded = _encode_until_deadline(job, texts)
    done = len(encoded)
    job.missing.keep(items[:done], texts[:done], encoded)
    found = _score_encoded(job, query, encoded, of=len(items))
    place = {item.item_id: at for at, item in enumerate(items)}
    filled = [at for at in missing if item_ids[at] in place]
    source = [place[item_ids[at]] for at in filled]
    for into, array in zip(_arrays(scored), _arrays(found), strict=True):
        into[filled] = array[source]


def _encode_until_deadline(job: Job, texts: Sequence[str]) -> EncodedItems:
    """The first texts, as many as there is time for."""
    with job.work.timed(Stage.ENCODE_ITEMS):
        in_time = takewhile(lambda _: not job.deadline.has_passed(), texts)
        encoded = job.snapshot.codec.encode(in_time)
    job.work.tokens += int(encoded.token_counts.sum())
    return encoded


def _score_encoded(job: Job, query: EncodedQuery, encoded: EncodedItems, *, of: int) -> Scored:
    """Score the encoded ones of so many items; there was no time for the others."""
    done, has_rows = len(encoded), encoded.token_counts > 0
    (logits, scores), statuses = np.full((2, of), np.nan), np.full(of, DEADLINE, np.uint8)
    truncated = np.zeros(of, np.bool_)
    statuses[:done], truncated[:done] = np.where(has_rows, ENCODED, NO_TEXT), encoded.truncated
    with job.work.timed(Stage.SCORE):
        at = np.flatnonzero(has_rows)
        found = job.snapshot.scorer.score(query.tokens, encoded.embeddings, at)
        logits[at], scores[at] = found.logits, found.probabilities
    return Scored(logits, scores, statuses, truncated)


def _joined(first: Scored, second: Scored) -> Scored:
    return Scored(*map(np.concatenate, zip(_arrays(first), _arrays(second), strict=True)))


def _arrays(scored: Scored) -> tuple[np.ndarray, ...]:
    return scored.logits, scored.scores, scored.statuses, scored.truncated


def _refuse_missing(item_ids: Sequence[str], found: Found) -> None:
    unknown = np.flatnonzero(~found.is_known)
    if len(unknown):
        at = int(unknown[0])
        message = f"item_ids: the generation knows no item `{item_ids[at]:.80}`"
        raise Refused(404, "item_not_found", message, param=f"item_ids.{at}")


def _check_candidates(job: Job, asked: Candidates) -> None:
    inline = len(asked.items)
    candidates = len(asked.item_ids) + inline
    most, most_inline = job.limits.max_candidates, job.limits.max_inline_items
    if not candidates:
        message = "expected at least one candidate in `item_ids` or `items`, got none"
        raise Refused(422, "no_candidates", message, param="item_ids")
    if candidates > most:
        message = f"expected at most {most} candidates, got {candidates}"
        raise Refused(422, "too_many_candidates", message, param="item_ids")
    if inline > most_inline:
        message = f"expected at most {most_inline} items sent along, got {inline}"
        raise Refused(422, "too_many_items", message, param="items")


def _room(job: Job, asked: Candidates) -> int:
    return job.limits.max_inline_items - len(asked.items)


def _count(job: Job, scored: Scored) -> None:
    counts = np.bincount(scored.statuses, minlength=len(STATUSES)).tolist()
    job.work.statuses.update({s: n for s, n in zip(STATUSES, counts, strict=True) if n})
    job.work.scores.append(scored.scores[~np.isnan(scored.scores)])
