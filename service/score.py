"""Scoring one query against cached and inline candidates: the hot path, in arrays until the end.

Plain dicts leave here; `routes/score.py` puts them on the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from relevance.domain import Label
from service.query import EncodedQuery, encode_query
from service.replies import Refused
from service.schemas import InlineItem, ScoreRequest
from service.serving import Serving


@dataclass(frozen=True, slots=True)
class ScoredCandidates:
    """Candidates in the order they came; NaN where there is no score."""

    scores: Float64[np.ndarray, " candidates"]
    truncated: Bool[np.ndarray, " candidates"]
    statuses: list[str]


def score_reply(serving: Serving, request: ScoreRequest) -> dict[str, object]:
    """The reply to a `/score` request; raises `Refused`."""
    _check_candidates(serving, len(request.item_ids), len(request.items))
    query = encode_query(serving, request.query)
    cached = score_cached(serving, query, request.item_ids)
    inline = score_inline(serving, query, request.items)
    ids = request.item_ids + [item.id for item in request.items]
    return {
        "results": _rows(ids, cached, inline, serving.bundle.threshold, request.top_n),
        "query_truncated": query.truncated,
        **provenance(serving),
    }


def provenance(serving: Serving) -> dict[str, object]:
    """What every answer says about where it comes from."""
    return {
        "bundle": serving.bundle.bundle_id,
        "generation": serving.items.generation_id,
        "sequence": serving.items.sequence,
        "degraded": serving.degraded,
    }


def score_cached(
    serving: Serving, query: EncodedQuery, item_ids: Sequence[str]
) -> ScoredCandidates:
    """Score items of the store by id."""
    items = serving.items
    rows = items.rows_of(item_ids)
    known = rows >= 0
    has_text = known & (items.token_counts[rows] > 0)
    scores = np.full(len(rows), np.nan)
    scores[has_text] = serving.scorer.score(query.tokens, items.arena, rows[has_text]).probabilities
    statuses = np.where(has_text, "ok", np.where(known, "no_text", "missing"))
    truncated = known & (items.truncated[rows] > 0)
    return ScoredCandidates(scores, truncated, statuses.tolist())


def score_inline(
    serving: Serving, query: EncodedQuery, inline: Sequence[InlineItem]
) -> ScoredCandidates:
    """Encode and score items that were sent along."""
    codec = serving.codec
    encoded = codec.encode([codec.text(item.to_item()) for item in inline])
    has_text = encoded.token_counts > 0
    scores = np.full(len(inline), np.nan)
    scores[has_text] = serving.scorer.score(
        query.tokens, encoded.embeddings, np.flatnonzero(has_text)
    ).probabilities
    statuses = np.where(has_text, "encoded", "no_text")
    return ScoredCandidates(scores, encoded.truncated, statuses.tolist())


def _check_candidates(serving: Serving, cached: int, inline: int) -> None:
    candidates, most = cached + inline, serving.settings.max_candidates
    most_inline = serving.settings.max_inline_items
    if not candidates:
        message = "expected at least one candidate in `item_ids` or `items`, got none"
        raise Refused(422, "no_candidates", message, param="item_ids")
    if candidates > most:
        message = f"expected at most {most} candidates, got {candidates}"
        raise Refused(422, "too_many_candidates", message, param="item_ids")
    if inline > most_inline:  # each costs an encoder run: milliseconds, not microseconds
        message = f"expected at most {most_inline} items sent along, got {inline}"
        raise Refused(422, "too_many_items", message, param="items")


def _rows(
    ids: list[str],
    cached: ScoredCandidates,
    inline: ScoredCandidates,
    threshold: float,
    top_n: int | None,
) -> list[dict[str, object]]:
    scores = np.concatenate([cached.scores, inline.scores])
    order = np.argsort(-scores, kind="stable")[:top_n].tolist()  # NaN sorts last
    shown = scores.tolist()
    labels = np.where(scores >= threshold, Label.GOOD.value, Label.BAD.value).tolist()
    statuses = cached.statuses + inline.statuses
    truncated = np.concatenate([cached.truncated, inline.truncated]).tolist()
    return [
        {
            "id": ids[at],
            "index": at,
            "score": score if (score := shown[at]) == score else None,  # NaN differs from itself
            "label": labels[at] if score == score else None,
            "status": statuses[at],
            "truncated": truncated[at],
        }
        for at in order
    ]
