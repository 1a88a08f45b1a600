"""What search needs of one generation beside its rows: its index, and which items there are.

Ranking them is `service.search`'s.
"""

import logging
from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Int64, UInt8

from relevance.errors import BadGeneration
from relevance.generation import StorePaths
from service.candidates.index import CandidateIndex, read_candidates
from service.store.generation_reader import GenerationReader

EXHAUSTIVE_ITEMS = 10_000  # scored outright up to here: see docs/search.md
DEPTH = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveItems:
    """Which rows of a snapshot are items with text, those of deltas among them.

    `bitmap` leaves the base's other items out of the index; None where there is no index or no
    such item.
    """

    rows: Int64[np.ndarray, " live"]
    of_deltas: Int64[np.ndarray, " live"]
    bitmap: UInt8[np.ndarray, " bitmap"] | None


class Candidates:
    """What search needs of one generation beside its rows; safe to share between threads.

    Up to `exhaustive_items` a catalogue is scored outright, and `depth` is what a request gets
    that names none.
    """

    def __init__(
        self,
        index: CandidateIndex | None,
        *,
        exhaustive_items: int = EXHAUSTIVE_ITEMS,
        depth: int = DEPTH,
    ) -> None:
        self.index = index
        self.exhaustive_items = exhaustive_items
        self.depth = depth
        self._lock = Lock()
        self._live: tuple[int, LiveItems] | None = None

    def live(self, generation: GenerationReader) -> LiveItems:
        """The live items of a snapshot; some milliseconds for a million, once for each change."""
        with self._lock:
            if self._live is None or self._live[0] != generation.sequence:
                self._live = (generation.sequence, self._look(generation))
            return self._live[1]

    def _look(self, generation: GenerationReader) -> LiveItems:
        rows = generation.live_rows()
        rows = rows[generation.token_counts[rows] > 0]
        items = generation.manifest.items
        in_base, bitmap = rows[rows < items], None
        if self.index is not None:
            gone = np.setdiff1d(np.arange(items), in_base, assume_unique=True)
            bitmap = self.index.bitmap(gone)
        return LiveItems(rows, rows[rows >= items], bitmap)


def open_candidates(store: StorePaths, generation: GenerationReader, **options: int) -> Candidates:
    """A generation's candidates; without an index where none was made or it cannot be trusted."""
    try:
        index = read_candidates(store, generation.manifest)
    except BadGeneration as fault:
        log.info("searching without an index: %s", fault)
        index = None
    return Candidates(index, **options)
