"""The bounded cache of encoded queries: key = the normalised query, oldest use goes first.

One belongs to one bundle. Nothing here encodes.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from relevance.late_interaction import QuantisedQuery


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A normalised query, its int8 tokens and where they lie in it."""

    text: str
    tokens: QuantisedQuery
    offsets: tuple[tuple[int, int], ...]
    truncated: bool


class QueryCache:
    """Encoded queries by their normalised text; safe to share between threads.

    `capacity` counts queries (about 3 KB each at 16 tokens of 128 dimensions); 0 keeps none.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = Lock()
        self._queries: OrderedDict[str, EncodedQuery] = OrderedDict()

    def __len__(self) -> int:
        return len(self._queries)

    def find(self, text: str) -> EncodedQuery | None:
        """The encoded query, which now counts as just used."""
        with self._lock:
            found = self._queries.get(text)
            if found is not None:
                self._queries.move_to_end(text)
            return found

    def keep(self, query: EncodedQuery) -> None:
        """Remember a query; forgets the one unused for longest where there is no room."""
        if not self._capacity:
            return
        with self._lock:
            self._queries[query.text] = query
            self._queries.move_to_end(query.text)
            if len(self._queries) > self._capacity:
                self._queries.popitem(last=False)
