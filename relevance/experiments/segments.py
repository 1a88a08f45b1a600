"""Head and tail queries: where a shop knows its visitors by their number, else by the log's.

A head query has more than ten visitors (design, resolution 16), which is what the paper calls UV.
"""

from collections.abc import Mapping
from enum import StrEnum

HEAD_ABOVE = 10


class Segment(StrEnum):
    """all: every query; head: those with more than `HEAD_ABOVE` visitors; tail: the others."""

    ALL = "all"
    HEAD = "head"
    TAIL = "tail"


def segment_of(query: str, visitors: Mapping[str, float]) -> Segment:
    """Head or tail; a query nobody counted is a tail query."""
    return Segment.HEAD if visitors.get(query, 0) > HEAD_ABOVE else Segment.TAIL
