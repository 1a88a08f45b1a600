"""How much one request may ask for, as one value; `/info` tells it and clients split by it.

How many requests may come at once is admission's business; how long a field may be stands in
`wire.py`, because it never changes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each thing; more is refused with 413 (bytes) or 422.

    `max_candidates` counts ids and items of one query, `max_batch_candidates` those of a whole
    batch. `max_inline_items` also bounds how many stored texts one request encodes: an encoder run
    costs milliseconds where a cached item costs microseconds. `max_rerank_documents` stands in its
    place in the rerank APIs, whose clients send texts as a rule.
    """

    max_body_bytes: int = 1 << 20
    max_query_chars: int = 512
    max_candidates: int = 5000
    max_inline_items: int = 256
    max_batch_queries: int = 64
    max_batch_candidates: int = 20_000
    max_rerank_documents: int = 1000
