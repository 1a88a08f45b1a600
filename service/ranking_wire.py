"""A ranking in the shapes of `wire.py`: rows or columns, from the best candidate to the last.

Plain words stand where the schema has enums: msgspec writes them a fifth faster.
"""

import numpy as np

from relevance.domain import Label
from service.score import STATUSES, Ranking
from service.wire import ScoreColumns, ScoreRow

LABELS = np.array([None, Label.GOOD.value, Label.BAD.value], object)
WORDS = np.array([status.value for status in STATUSES], object)
UNLABELLED, GOOD, BAD = range(3)


def columns(ranking: Ranking) -> ScoreColumns:
    """One list a field."""
    scored, order = ranking.scored, ranking.order
    scores = scored.scores[order]
    has_score = ~np.isnan(scores)
    labels = np.where(has_score, np.where(scores >= ranking.threshold, GOOD, BAD), UNLABELLED)
    indexes = order.tolist()
    return ScoreColumns(
        id=[ranking.ids[at] for at in indexes],
        index=indexes,
        score=scores.tolist() if has_score.all() else _with_none(scores),
        label=LABELS[labels].tolist(),
        status=WORDS[scored.statuses[order]].tolist(),
        truncated=scored.truncated[order].tolist(),
    )


def rows(ranking: Ranking) -> list[ScoreRow]:
    """One value a candidate."""
    fields = columns(ranking)
    names = (fields.id, fields.index, fields.score, fields.label, fields.status, fields.truncated)
    return list(map(ScoreRow, *names))


def _with_none(scores: np.ndarray) -> list[float | None]:
    return [None if score != score else score for score in scores.tolist()]  # NaN is not itself
