"""Why a pair scores as it does: the student's alignment token by token, and the teacher's reasons.

The alignment adds up to the very logit `/score` turns into its score.
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from relevance.chain_of_thought import render
from relevance.domain import Item, Judgement, Label
from relevance.late_interaction import ITEM_ZERO_POINT, sigmoid, token_contributions
from service.query import EncodedQuery, encode_query
from service.replies import Refused
from service.schemas import ExplainRequest
from service.score import provenance
from service.serving import Serving
from service.teacher_door import ask


@dataclass(frozen=True, slots=True)
class Candidate:
    """One item with its rows in an arena, and how it came here."""

    item: Item
    text: str
    arena: UInt8[np.ndarray, "items rows dim"]
    position: int
    token_count: int
    truncated: bool
    status: str

    @property
    def real_rows(self) -> UInt8[np.ndarray, "tokens dim"]:
        """The rows of real tokens; the others only repeat the first."""
        return self.arena[self.position][: self.token_count]


def explain_reply(serving: Serving, request: ExplainRequest) -> dict[str, object]:
    """The reply to an `/explain` request; raises `Refused`."""
    query = encode_query(serving, request.query)
    candidate = _candidate(serving, request)
    judgement = ask(serving.explainer, query.text, candidate.item)
    return {
        "id": candidate.item.item_id,
        "query": query.text,
        "item_text": candidate.text,
        "status": candidate.status,
        "truncated": candidate.truncated,
        "query_truncated": query.truncated,
        **align(serving, query, candidate),
        **_reasons(judgement),
        "teacher": _opinion(serving, judgement),
        **provenance(serving),
    }


def align(serving: Serving, query: EncodedQuery, candidate: Candidate) -> dict[str, object]:
    """Score, logit, bias and each query token's share; only the bias without item tokens."""
    bias = serving.bundle.logit_bias
    if not candidate.token_count:
        return {"score": None, "label": None, "logit": None, "bias": bias, "contributions": []}
    scored = serving.scorer.score(
        query.tokens, candidate.arena, np.array([candidate.position], np.int64)
    )
    score = float(scored.probabilities[0])
    contributions = token_contributions(
        scored.maxima,
        query.tokens.scales,
        item_scale=serving.bundle.item_scale,
        weight=serving.bundle.logit_weight,
    )[0]
    return {
        "score": score,
        "label": Label.GOOD if score >= serving.bundle.threshold else Label.BAD,
        "logit": float(scored.logits[0]),
        "bias": bias,
        "contributions": _contributions(serving, query, candidate, contributions),
    }


def best_item_tokens(
    query: EncodedQuery, rows: UInt8[np.ndarray, "tokens dim"]
) -> Int64[np.ndarray, " query_tokens"]:
    """For each query token the real item token it meets best; the first of equals."""
    centred = rows.astype(np.int32) - ITEM_ZERO_POINT
    return (centred @ query.tokens.steps.T.astype(np.int32)).argmax(axis=0)


def _candidate(serving: Serving, request: ExplainRequest) -> Candidate:
    if request.item is None:
        return _cached(serving, request.item_id or "")
    item = request.item.to_item()
    text = serving.codec.text(item)
    encoded = serving.codec.encode([text])
    count = int(encoded.token_counts[0])
    status = "encoded" if count else "no_text"
    truncated = bool(encoded.truncated[0])
    return Candidate(item, text, encoded.embeddings, 0, count, truncated, status)


def _cached(serving: Serving, item_id: str) -> Candidate:
    items = serving.items
    row = int(items.rows_of([item_id])[0])
    if row < 0:
        message = f"item_id: the generation knows no item `{item_id}`"
        raise Refused(404, "item_not_found", message, param="item_id")
    item = items.item(row)
    count = int(items.token_counts[row])
    return Candidate(
        item=item,
        text=serving.codec.text(item),
        arena=items.arena,
        position=row,
        token_count=count,
        truncated=bool(items.truncated[row]),
        status="ok" if count else "no_text",
    )


def _contributions(
    serving: Serving,
    query: EncodedQuery,
    candidate: Candidate,
    contributions: np.ndarray,
) -> list[dict[str, object]]:
    limit = serving.bundle.max_item_tokens
    offered = serving.encoder.tokenise(candidate.text, limit=limit).offsets
    best = best_item_tokens(query, candidate.real_rows).tolist()
    cosines = contributions * len(contributions) / serving.bundle.logit_weight
    return [
        {
            **_span(query.text, offsets),
            "contribution": contribution,
            "cosine": cosine,
            "best": _span(candidate.text, offered[token]),
        }
        for offsets, contribution, cosine, token in zip(
            query.offsets, contributions.tolist(), cosines.tolist(), best, strict=True
        )
    ]


def _span(text: str, offsets: tuple[int, int]) -> dict[str, object]:
    start, end = offsets
    return {"token": text[start:end], "start": start, "end": end}


def _reasons(judgement: Judgement | None) -> dict[str, object]:
    thought = None if judgement is None else judgement.chain_of_thought
    return {
        "aspects": [] if thought is None else [asdict(finding) for finding in thought.findings],
        "spans": [] if judgement is None else [asdict(span) for span in judgement.spans],
        "chain_of_thought": None if thought is None else render(thought),
    }


def _opinion(serving: Serving, judgement: Judgement | None) -> dict[str, object]:
    if judgement is None or serving.explainer is None:
        return dict.fromkeys(("judge", "score", "label", "fingerprint")) | {"state": "unavailable"}
    score = float(sigmoid(np.array(judgement.log_odds)))
    thought = judgement.chain_of_thought
    label = Label.GOOD if score >= serving.explainer.threshold else Label.BAD
    return {
        "state": "ok",
        "judge": judgement.judge,
        "score": score,
        "label": label if thought is None else thought.label,
        "fingerprint": judgement.fingerprint,
    }
