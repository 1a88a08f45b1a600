"""A query's int8 tokens against rows of a uint8 arena: logits that never depend on company.

The graph finds the integer maxima, which are exact. What follows is the definition in
`relevance.late_interaction`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from jaxtyping import Float64, Int32, Int64, UInt8

from relevance.bundle import GOLDEN, MAXSIM, BundleManifest
from relevance.late_interaction import (
    QuantisedQuery,
    integer_maxima,
    item_steps,
    logits,
    sigmoid,
    token_contributions,
)
from service.execution import OpenGraph, open_session

NUMPY_SCORER = "numpy_scorer"  # the `degraded` reason
CHUNK = 512  # candidates a run of the graph: between two looks at the clock, half a millisecond
ITEMS_AT_A_TIME = 128  # NumPy's gathered float64 rows then stay near 4 MB


@dataclass(frozen=True, slots=True)
class Scores:
    """One query against some candidates."""

    logits: Float64[np.ndarray, " candidates"]
    maxima: Int32[np.ndarray, "candidates query_tokens"]

    @property
    def probabilities(self) -> Float64[np.ndarray, " candidates"]:
        """The scores `/score` answers with."""
        return sigmoid(self.logits)


class Scorer(Protocol):
    """Late interaction over an arena of quantised item tokens."""

    def score(
        self,
        query: QuantisedQuery,
        arena: UInt8[np.ndarray, "items rows row_bytes"],
        positions: Int64[np.ndarray, " candidates"],
    ) -> Scores:
        """Score the arena's rows at `positions`, in that order."""
        ...


class OnnxScorer:
    """The bundle's maxsim graph, reading the arena in place."""

    def __init__(self, session: ort.InferenceSession, manifest: BundleManifest) -> None:
        self._session = session
        self._manifest = manifest

    def score(
        self,
        query: QuantisedQuery,
        arena: UInt8[np.ndarray, "items rows row_bytes"],
        positions: Int64[np.ndarray, " candidates"],
    ) -> Scores:
        """Score the arena's rows at `positions`, in that order."""
        return _scores(self.maxima(query, arena, positions), query, self._manifest)

    def maxima(
        self,
        query: QuantisedQuery,
        arena: UInt8[np.ndarray, "items rows row_bytes"],
        positions: Int64[np.ndarray, " candidates"],
    ) -> Int32[np.ndarray, "candidates query_tokens"]:
        """The graph's integer maxima."""
        if not len(positions):  # its reduction refuses an empty batch
            return np.empty((0, len(query.steps)), np.int32)
        feeds = {
            "query": query.steps,
            "arena": arena,
            "positions": positions,
        }
        return self._session.run(["maxima"], feeds)[0]


class NumpyScorer:
    """The same answers without the graph, several times slower: for CPUs whose kernels err."""

    def __init__(self, manifest: BundleManifest) -> None:
        self._manifest = manifest

    def score(
        self,
        query: QuantisedQuery,
        arena: UInt8[np.ndarray, "items rows row_bytes"],
        positions: Int64[np.ndarray, " candidates"],
    ) -> Scores:
        """Score the arena's rows at `positions`, in that order."""
        maxima = np.empty((len(positions), len(query.steps)), np.int32)
        columns = query.steps.T.astype(np.float64)  # float64 sums of integers are exact, and BLAS
        for start in range(0, len(positions), ITEMS_AT_A_TIME):
            block = slice(start, start + ITEMS_AT_A_TIME)
            rows = item_steps(arena[positions[block]], bits=self._manifest.codec.bits)
            maxima[block] = (rows.astype(np.float64) @ columns).max(axis=1)
        return _scores(maxima, query, self._manifest)


def open_scorer(
    folder: Path, manifest: BundleManifest, *, opened: OpenGraph = open_session
) -> tuple[Scorer, tuple[str, ...]]:
    """The bundle's graph where it counts right on this CPU, else NumPy and why."""
    scorer = OnnxScorer(opened(folder / MAXSIM), manifest)
    if _counts_right(scorer, folder / GOLDEN, bits=manifest.codec.bits):
        return scorer, ()
    return NumpyScorer(manifest), (NUMPY_SCORER,)


def _counts_right(scorer: OnnxScorer, golden: Path, *, bits: int) -> bool:
    """All golden rows at once, and each alone: kernels differ with the shapes they are given."""
    with np.load(golden) as arrays:
        steps, arena = arrays["query"], arrays["arena"]
    expected = integer_maxima(steps, arena, bits=bits)
    query = QuantisedQuery(steps, np.ones(len(steps), np.float32))
    first_token = QuantisedQuery(steps[:1], query.scales[:1])
    everything = np.arange(len(arena))
    return (
        np.array_equal(scorer.maxima(query, arena, everything), expected)
        and np.array_equal(scorer.maxima(first_token, arena, everything), expected[:, :1])
        and all(
            np.array_equal(scorer.maxima(query, arena, at), expected[at])
            for at in np.split(everything, len(everything))
        )
    )


def _scores(
    maxima: Int32[np.ndarray, "candidates query_tokens"],
    query: QuantisedQuery,
    manifest: BundleManifest,
) -> Scores:
    contributions = token_contributions(
        maxima, query.scales, item_scale=manifest.item_scale, weight=manifest.logit_weight
    )
    return Scores(logits=logits(contributions, bias=manifest.logit_bias), maxima=maxima)
