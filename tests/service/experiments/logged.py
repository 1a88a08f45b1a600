"""A logged request of one query and two items, without a bundle."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from relevance.experiments.pair_log import Role
from service.experiments.pair_log import Logged
from service.snapshot import Snapshot
from service.work import Ranked

ITEMS = 2


def logged(query: str = "red lamp", **fields: Any) -> Logged:
    ranked = Ranked(query, ["a", "b", "c"], np.array([0.25, np.nan, 0.75]), np.array([2, 0]))
    origin = SimpleNamespace(
        bundle=SimpleNamespace(bundle_id="bundle-1"),
        items=SimpleNamespace(generation_id="generation-1", sequence=3),
    )
    known = {"role": Role.ANSWER, "ranked": (ranked,), "snapshot": cast(Snapshot, origin)}
    return Logged(**{**known, "key": "shopper", "variant": "control", **fields})
