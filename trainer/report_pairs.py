"""One explained pair as the report shows it: marked texts, score, verdicts, shares of tokens.

Entries come from a running service as JSON. What may be absent is left out of the page; what is
there but wrong, such as evidence outside its text, is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from relevance.domain import EvidenceSpan, Label, Relevance, Side
from relevance.errors import BadInput
from relevance.marked_text import marked
from trainer.report_numbers import View, decimals


def pair_view(entry: Mapping[str, Any], number: int) -> View:
    """What the template shows of an explained pair; `BadInput` where it contradicts itself."""
    where = f"explained pair {number}"
    score, threshold = entry["score"], entry.get("threshold")
    spans = tuple(_span(record, number) for record in entry.get("spans") or ())
    good = entry.get("good")
    human = None if good is None else str(Label.GOOD if good else Label.BAD)
    label = entry.get("label")
    return {
        "query": marked(entry["query"], Side.QUERY, spans, where=where),
        "title": marked(entry["title"], Side.TITLE, spans, where=where),
        "item_id": entry.get("item_id"),
        "score": None if score is None else decimals(score),
        "score_percent": None if score is None else f"{100 * score:.1f}%",
        "threshold": None if threshold is None else decimals(threshold),
        "threshold_percent": None if threshold is None else f"{100 * threshold:.1f}%",
        "label": label,
        "human": human,
        "agrees": None if human is None or label is None else human == label,
        "teacher": _teacher(entry.get("teacher")),
        "aspects": entry.get("aspects") or [],
        "chain_of_thought": entry.get("chain_of_thought"),
        "contributions": _contributions(entry.get("contributions") or []),
        "bias": None if entry.get("bias") is None else _signed(entry["bias"]),
        "logit": None if entry.get("logit") is None else _signed(entry["logit"]),
    }


def _span(record: Mapping[str, Any], number: int) -> EvidenceSpan:
    try:
        return EvidenceSpan(
            side=Side(record["side"]),
            start=record["start"],
            end=record["end"],
            relevance=Relevance(record["relevance"]),
            aspect=record["aspect"],
        )
    except (ValueError, BadInput) as fault:
        raise BadInput(f"explained pair {number}: {fault}") from fault


def _teacher(teacher: Mapping[str, Any] | None) -> View | None:
    if teacher is None:
        return None
    score = teacher.get("score")
    return {**teacher, "score": None if score is None else decimals(score)}


def _contributions(rows: Sequence[Mapping[str, Any]]) -> list[View]:
    largest = max((abs(row["contribution"]) for row in rows), default=0) or 1
    return [
        {
            "token": row["token"],
            "best": row.get("best_item_token"),
            "cosine": "" if row.get("cosine") is None else _signed(row["cosine"]),
            "share": _signed(row["contribution"]),
            "negative": row["contribution"] < 0,
            "size": f"{100 * abs(row['contribution']) / largest:.1f}%",
        }
        for row in rows
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
