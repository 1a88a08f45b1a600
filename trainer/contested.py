"""Draw the pairs of a judged pool on which an earlier student and its teacher disagree most.

Past the paper: where both agree there is little left to learn (importance sampling by the gap that
distillation is to close). The earlier student's scores come as judgements (`ellm train judge`).
Which share of a pool is Good is decided in `pool_balance.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.records import Pair

Verdicts = Mapping[tuple[str, str], Judgement]


def disagreement(
    pool: Sequence[Pair], teacher: Verdicts, student: Verdicts, *, sharpness: float
) -> np.ndarray:
    """|sharpness · teacher's log-odds − student's| of each pair: (pairs,), 0 where one is silent.

    A student distilled with a recipe's `sharpness` follows the teacher's log-odds times it.
    """
    if sharpness <= 0:
        raise BadInput(f"sharpness: expected more than 0, got {sharpness}")
    gaps = np.zeros(len(pool))
    for at, pair in enumerate(pool):
        told, said = (judged.get((pair.query, pair.item_id)) for judged in (teacher, student))
        if told is not None and said is not None:
            gaps[at] = abs(sharpness * told.log_odds - said.log_odds)
    return gaps


def contested_pool(
    pool: Sequence[Pair], gaps: np.ndarray, *, share: float, seed: int
) -> list[Pair]:
    """So large a share of the pool in its order, drawn one by one with the gaps as weights.

    Without replacement. A pair without a gap is never drawn, so fewer may come than asked for.
    Who waits an exponential time at the rate of its weight comes first as such draws would have it
    (Efraimidis and Spirakis, 2006).
    Raises `BadInput` where no pair has one.
    """
    if not 0 < share <= 1:
        raise BadInput(f"share: expected more than 0 and at most 1, got {share}")
    apart = np.flatnonzero(gaps)
    if not len(apart):
        raise BadInput(
            f"pool: expected pairs that teacher and student judge differently, got none of "
            f"{len(pool)}\nhint: both judgement files must hold the pool's pairs"
        )
    count = max(1, round(share * len(pool)))
    log_waits = np.log(np.random.default_rng(seed).exponential(size=len(apart)))
    log_waits -= np.log(gaps[apart])
    first = apart[np.argsort(log_waits, kind="stable")[:count]]
    return [pool[at] for at in np.sort(first)]
