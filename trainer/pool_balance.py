"""Thin out a judged pool until it holds the wanted share of pairs that the teacher calls Good.

Which pairs are in the pool is decided by `pools.py`; how much each weighs in the loss, by
`batches.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.records import Pair


def balanced_pool(
    pool: Sequence[Pair],
    judgements: Mapping[tuple[str, str], Judgement],
    *,
    good_share: float,
    seed: int,
) -> list[Pair]:
    """The pairs of `pool` in their order, those of the class in excess drawn at random.

    Random candidates are mostly Bad and mostly easy: left as they are, they fill the steps with
    what the student knows already. All pairs of the scarcer class are kept, and all that nobody
    judged. With `good_share` 0, or where one class is absent, nothing is left out.
    """
    if not 0 <= good_share < 1:
        raise BadInput(f"good_share: expected at least 0 and less than 1, got {good_share}")
    verdicts = [judgements.get((pair.query, pair.item_id)) for pair in pool]
    good = np.flatnonzero([verdict is not None and verdict.log_odds >= 0 for verdict in verdicts])
    bad = np.flatnonzero([verdict is not None and verdict.log_odds < 0 for verdict in verdicts])
    if not good_share or not len(good) or not len(bad):
        return list(pool)
    odds = good_share / (1 - good_share)
    random = np.random.default_rng(seed)
    surplus = {
        int(at)
        for rows, wanted in ((good, len(bad) * odds), (bad, len(good) / odds))
        for at in random.permutation(rows)[max(1, round(wanted)) :]
    }
    return [pair for at, pair in enumerate(pool) if at not in surplus]
