"""Do two scorers put a query's candidates in the same order? Kendall's τ, and what flips.

Source: Kendall, "The treatment of ties in ranking problems" (Biometrika, 1945): τ-b.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SHORTEST_LIST = 5  # candidates; in shorter lists one flip is a tenth of τ or more


@dataclass(frozen=True, slots=True)
class FlippedList:
    """A query whose candidates changed places, and the widest of those changes.

    `above` stood above `below` by `reference_gap` in the reference; now it stands below it by
    `served_gap`. Both gaps are positive similarities.
    """

    query: str
    tau: float
    candidates: int
    flips: int
    above: str
    below: str
    reference_gap: float
    served_gap: float


def kendall_tau(first: Float[np.ndarray, " items"], second: Float[np.ndarray, " items"]) -> float:
    """τ-b of two scores of the same items, in [-1, 1]; nan where one of them is constant."""
    ours, theirs = (np.sign(scores[:, None] - scores[None, :]) for scores in (first, second))
    pairs = np.sqrt((ours**2).sum() * (theirs**2).sum())
    return float((ours * theirs).sum() / pairs) if pairs else float("nan")


def kendall_taus(
    queries: Sequence[str], first: Float[np.ndarray, " pairs"], second: Float[np.ndarray, " pairs"]
) -> dict[str, float]:
    """τ of each query with at least `SHORTEST_LIST` candidates; undefined ones left out."""
    found = {
        query: kendall_tau(first[at], second[at])
        for query, at in _lists(queries).items()
        if len(at) >= SHORTEST_LIST
    }
    return {query: tau for query, tau in found.items() if not np.isnan(tau)}


def flipped_lists(
    pairs: Sequence[tuple[str, str]],
    reference: Float[np.ndarray, " pairs"],
    served: Float[np.ndarray, " pairs"],
    taus: Mapping[str, float],
) -> tuple[FlippedList, ...]:
    """The lists among `taus` with a changed order, by rising τ."""
    lists = _lists([query for query, _ in pairs])
    found = []
    for query, tau in taus.items():
        at = lists[query]
        items = [pairs[int(place)][1] for place in at]
        found.append(_flipped(query, tau, items, reference[at], served[at]))
    return tuple(sorted((f for f in found if f.flips), key=lambda each: (each.tau, each.query)))


def _flipped(
    query: str, tau: float, items: Sequence[str], reference: np.ndarray, served: np.ndarray
) -> FlippedList:
    before = reference[:, None] - reference[None, :]  # (items, items): row above column by so much
    after = served[None, :] - served[:, None]
    is_flip = (before > 0) & (after > 0)
    widest = int(np.where(is_flip, before + after, -1.0).argmax())
    above, below = divmod(widest, len(items))
    return FlippedList(
        query=query,
        tau=tau,
        candidates=len(items),
        flips=int(is_flip.sum()),
        above=items[above],
        below=items[below],
        reference_gap=float(max(before[above, below], 0.0)),
        served_gap=float(max(after[above, below], 0.0)),
    )


def _lists(queries: Sequence[str]) -> dict[str, np.ndarray]:
    lists: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        lists.setdefault(query, []).append(at)
    return {query: np.array(at) for query, at in lists.items()}
